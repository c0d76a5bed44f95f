package testkit

import (
	"slices"
	"strings"
)

// notYet lists, by name prefix, the fixtures that nothing in the project
// covers yet. They make no subtest and no skip. Cases of one stand as
// "fixture/case".
var notYet = []string{
	"encdec_",
	"encoder_bert_qa", "encoder_bert_seqcls", "encoder_bert_tokcls",
	"encoder_distilbert", "encoder_gpt2_seqcls", "encoder_llama_seqcls",
	"encoder_modernbert", "encoder_roberta", "encoder_xlm_roberta",
	"dpo/kto", "dpo/orpo", "dpo/robust", "dpo/simpo", "lora_", "metrics_", "pipeline_", "train_bert_seqcls", "train_t5",
}

// InScope says whether a case of a fixture is covered: notYet names those that
// are not as "fixture/case".
func InScope(fixture, name string) bool { return !outOfScope(fixture + "/" + name) }

// casesNotYet lists the cases, of fixtures that are covered otherwise, that
// nothing in the project covers.
var casesNotYet = []string{"adam_l2", "adamw_amsgrad", "lion"}

// CaseInScope says whether a case of a fixture is to be covered.
func CaseInScope(name string) bool { return !slices.Contains(casesNotYet, name) }

func outOfScope(name string) bool {
	for _, p := range notYet {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}
