package checkpoint

// Keys of metadata that every GGUF file may have.
const (
	keyAlignment  = "general.alignment"
	keySplitCount = "split.count"
)
