package dataset

import (
	"errors"
	"strings"

	"wenmo/tokenizer"
)

// chatML is the template of models that come without one (OpenAI's ChatML, with
// tools as Hermes and Qwen have them); END is what a turn ends with.
const chatML = `{%- set ns = namespace(system='') -%}
{%- if messages and messages[0].role == 'system' -%}
    {%- set ns.system = messages[0].content -%}
{%- endif -%}
{%- if tools -%}
    {%- set ns.system = ns.system + ('\n\n' if ns.system else '') + '# Tools\n' -%}
    {%- for tool in tools -%}
        {%- set ns.system = ns.system + '\n' + (tool | tojson) -%}
    {%- endfor -%}
{%- endif -%}
{%- if ns.system -%}
    {{- '<|im_start|>system\n' + ns.system + END + '\n' -}}
{%- endif -%}
{%- for message in (messages[1:] if messages and messages[0].role == 'system' else messages) -%}
    {%- set content = message.content if message.content is string else '' -%}
    {{- '<|im_start|>' + message.role + '\n' -}}
    {%- if message.role == 'assistant' -%}
        {%- generation -%}
            {{- content -}}
            {%- for call in message.tool_calls or [] -%}
                {%- set call = call.function or call -%}
                {%- set arguments = call.arguments if call.arguments is string else call.arguments | tojson -%}
                {{- ('\n' if content or not loop.first else '') + '<tool_call>\n{"name": "' + call.name + '", "arguments": ' + arguments + '}\n</tool_call>' -}}
            {%- endfor -%}
            {{- END -}}
        {%- endgeneration -%}
    {%- else -%}
        {{- content + END -}}
    {%- endif -%}
    {{- '\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{- '<|im_start|>assistant\n' -}}
{%- endif -%}`

const chatMLEnd = "<|im_end|>"

// DefaultTemplate returns the chat template for a model that has none: ChatML.
// Where the vocabulary has no <|im_end|>, turns end with the end-of-text token,
// so that the model learns to stop.
func DefaultTemplate(t *tokenizer.Tokenizer, c tokenizer.Config) (string, error) {
	end := "'" + chatMLEnd + "'"
	if _, ok := t.ID(chatMLEnd); !ok {
		if _, ok := t.ID(c.EOS); c.EOS == "" || !ok {
			return "", errors.New("the model has no chat template, and its tokenizer neither <|im_end|> nor an end-of-text token to end a turn with")
		}
		end = "eos_token"
	}
	return strings.ReplaceAll(chatML, "END", end), nil
}
