package report

import "fmt"

// words are the texts of pages and cards, by language.
var words = map[string]map[string]string{
	"en": {
		"run": "Training report", "results": "Evaluation",
		"loss": "Loss", "training": "training", "validation": "validation",
		"bits_per_byte": "Validation bits per byte", "gradient_norm": "Gradient norm",
		"learning_rate": "Learning rate", "throughput": "Throughput (tokens/s)",
		"step": "step", "log": "logarithmic", "steps": "Steps", "last_loss": "Last loss",
		"best_validation": "Best validation loss", "best_bits": "Best bits per byte", "mean_throughput": "Mean tokens/s",
		"samples": "Samples over time", "samples_left_out": "%d of %d samples, evenly spaced",
		"config": "Configuration", "made": "Made by wenmo",
		"matrix": "Rows: true class. Columns: predicted class. Colour: share of the row.", "recall": "recall",
		"confusions": "the most frequent confusions", "true_class": "true class", "predicted": "predicted", "count": "count",

		"card_use": "Use", "card_data": "Training data", "card_training": "Training", "card_evaluation": "Evaluation", "card_limits": "Limits",
		"file": "file", "source": "source", "licence": "licence", "sha256": "sha256", "tokens": "tokens", "passes": "passes",
		"setting": "setting", "value": "value", "unknown": "unknown", "total": "in all",
		"trained_from": "Trained from `%s`.", "trained_from_scratch": "Trained from scratch.",
		"no_limits": "Nothing has been said about the limits of this model. Test it on your own data before you rely on it.",
	},
	"zh": {
		"run": "训练报告", "results": "评测结果",
		"loss": "损失", "training": "训练", "validation": "验证",
		"bits_per_byte": "验证集每字节比特数", "gradient_norm": "梯度范数",
		"learning_rate": "学习率", "throughput": "吞吐量（词元/秒）",
		"step": "步", "log": "对数坐标", "steps": "步数", "last_loss": "最后的损失",
		"best_validation": "最低验证损失", "best_bits": "最低每字节比特数", "mean_throughput": "平均词元/秒",
		"samples": "训练过程中的样例", "samples_left_out": "共 %[2]d 条样例，此处等距选取 %[1]d 条",
		"config": "配置", "made": "由文墨生成",
		"matrix": "行：真实类别；列：预测类别；颜色：在该行中所占比例。", "recall": "召回率",
		"confusions": "最常见的混淆", "true_class": "真实类别", "predicted": "预测类别", "count": "次数",

		"card_use": "使用", "card_data": "训练数据", "card_training": "训练", "card_evaluation": "评测", "card_limits": "局限",
		"file": "文件", "source": "来源", "licence": "许可证", "sha256": "sha256", "tokens": "词元数", "passes": "遍数",
		"setting": "设置", "value": "值", "unknown": "未知", "total": "合计",
		"trained_from": "以 `%s` 为起点训练。", "trained_from_scratch": "从头训练。",
		"no_limits": "尚未说明本模型的局限。使用前请先用自己的数据加以检验。",
	},
}

// wordsOf returns the texts of a language, "en" or "zh".
func wordsOf(lang string) (map[string]string, error) {
	w, ok := words[lang]
	if !ok {
		return nil, fmt.Errorf("report: language %q is not known (known: en, zh)", lang)
	}
	return w, nil
}
