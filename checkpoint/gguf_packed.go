package checkpoint

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A packed file is a GGUF file of wenmo's own architecture, so that other
// programs refuse it by name. Its matrices lie as the panels of package kernel
// (Panels), each a tensor of I8 whose type and shape four arrays of the
// metadata tell; the other tensors are plain. All have the names, and the
// order of rows, in which the model's family takes them. The config is that of
// a Hugging Face directory, as text.
//
// Opening checks every size against the file, and reads no weight: that they
// are finite was checked when they were packed. That a file was cut short while
// it is open shows as a fault where kernels read it, which who runs a pass turns
// into an error (debug.SetPanicOnFault). WriteGGUF puts a new file in the place
// of the old one and leaves that to those who have it open.
const (
	packedArchitecture = "wenmo"
	packedVersion      = 2 // of the layout of panels; a change of kernel's makes a new one
	packedAlignment    = 64

	packedPanels      = "wenmo.panels."
	keyPackedVersion  = packedPanels + "version"
	keyPackedAsStored = packedPanels + "as_stored"
	keyPackedNames    = packedPanels + "names"
	keyPackedTypes    = packedPanels + "types" // as DType.String
	keyPackedOuts     = packedPanels + "outs"
	keyPackedIns      = packedPanels + "ins"
	keyPackedConfig   = "wenmo.config"

	// KeyGenerationConfig is where a packed file keeps the text of
	// generation_config.json.
	KeyGenerationConfig = "wenmo.generation_config"
)

// Settings returns the metadata, of a packed file without what lays out its panels,
// and the values of the config that it keeps in the place of their text.
func (r Report) Settings() ([]KV, error) {
	var pairs []KV
	for _, kv := range r.Metadata {
		text, ok := kv.Value.(string)
		switch {
		case strings.HasPrefix(kv.Key, packedPanels):
		case kv.Key == keyPackedConfig && ok:
			var config map[string]any
			if err := json.Unmarshal([]byte(text), &config); err != nil {
				return nil, fmt.Errorf("%s: metadata %q: %w", r.Path, kv.Key, err)
			}
			for _, key := range slices.Sorted(maps.Keys(config)) {
				pairs = append(pairs, KV{key, config[key]})
			}
		default:
			pairs = append(pairs, kv)
		}
	}
	return pairs, nil
}

// Packed says that f is a packed file: its matrices lie as products want them.
func (f *File) Packed() bool { return f.metadata[keyArchitecture] == packedArchitecture }

// AsStored says that f can become another kind of checkpoint: it is no packed
// file, or one whose matrices have the shapes and rows of what it was made of.
func (f *File) AsStored() bool { return !f.Packed() || f.metadata[keyPackedAsStored] == true }

// PackedGGUF returns the metadata and the tensors of the packed file of a
// model, for WriteGGUF. The metadata lacks tokenizer and KeyGenerationConfig.
// asStored is what File.AsStored is to say.
func PackedGGUF(config map[string]any, asStored bool, outs []Out) ([]KV, []Out, error) {
	text, err := json.Marshal(config)
	if err != nil {
		return nil, nil, fmt.Errorf("config.json: %w", err)
	}
	var names, types []string
	var rows, columns []uint32
	outs = slices.Clone(outs)
	for i, o := range outs {
		if !o.Panels {
			continue
		}
		out, in := o.Shape[0], o.Shape[1]
		names, types = append(names, o.Name), append(types, o.DType.String())
		rows, columns = append(rows, uint32(out)), append(columns, uint32(in))
		outs[i] = Out{Name: o.Name, DType: I8, Shape: []int{PanelBytes(o.DType, out, in)}, Write: o.Write, Data: o.Data}
	}
	return []KV{
		{keyArchitecture, packedArchitecture},
		{keyType, "model"},
		{keyAlignment, uint32(packedAlignment)},
		{keyPackedVersion, uint32(packedVersion)},
		{keyPackedAsStored, asStored},
		{keyPackedConfig, string(text)},
		{keyPackedNames, names},
		{keyPackedTypes, types},
		{keyPackedOuts, rows},
		{keyPackedIns, columns},
	}, outs, nil
}

// packedTensor is what the arrays say of a tensor.
type packedTensor struct {
	dtype   DType
	out, in int
}

// fromPacked is FromGGUF for a packed file.
func fromPacked(f *File) (*File, map[string]any, error) {
	if v, ok := f.metadata[keyPackedVersion]; v != uint32(packedVersion) {
		if !ok {
			v = "none"
		}
		return nil, nil, fmt.Errorf("%s: metadata %q: version %v of packed models is not supported (known: %d); convert the model again from what it was made of", f.path, keyPackedVersion, v, packedVersion)
	}
	text, ok := f.metadata[keyPackedConfig].(string)
	if !ok {
		return nil, nil, fmt.Errorf("%s: metadata %q: a string wanted, found %T", f.path, keyPackedConfig, f.metadata[keyPackedConfig])
	}
	var config map[string]any
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		return nil, nil, fmt.Errorf("%s: metadata %q: %w", f.path, keyPackedConfig, err)
	}
	if config == nil {
		return nil, nil, fmt.Errorf("%s: metadata %q: an object wanted, found null", f.path, keyPackedConfig)
	}
	packed, err := f.packedTensors()
	if err != nil {
		return nil, nil, err
	}
	v := *f
	v.tensors = slices.Clone(f.tensors)
	for i := range v.tensors {
		t := &v.tensors[i]
		if p, ok := packed[t.Name]; ok {
			if err := t.unfold(p); err != nil {
				return nil, nil, err
			}
		}
	}
	return &v, config, nil
}

// packedTensors reads the arrays.
func (f *File) packedTensors() (map[string]packedTensor, error) {
	names, ok0 := f.metadata[keyPackedNames].([]string)
	types, ok1 := f.metadata[keyPackedTypes].([]string)
	outs, ok2 := f.metadata[keyPackedOuts].([]uint32)
	ins, ok3 := f.metadata[keyPackedIns].([]uint32)
	if !ok0 || !ok1 || !ok2 || !ok3 || len(types) != len(names) || len(outs) != len(names) || len(ins) != len(names) {
		return nil, fmt.Errorf("%s: metadata %q, %q, %q and %q: arrays of the same length wanted, of strings, strings, uint32 and uint32", f.path, keyPackedNames, keyPackedTypes, keyPackedOuts, keyPackedIns)
	}
	packed := make(map[string]packedTensor, len(names))
	for i, name := range names {
		_, there := f.index[name]
		if _, twice := packed[name]; twice || !there {
			return nil, fmt.Errorf("%s: metadata %q: %q stands twice or is no tensor of the file", f.path, keyPackedNames, name)
		}
		d, err := ParseDType(types[i])
		if err != nil || !d.HasPanels(int(ins[i])) || outs[i] == 0 || ins[i] == 0 {
			return nil, fmt.Errorf("%s: metadata %q: %q of shape [%d, %d] cannot be panels of type %q", f.path, keyPackedTypes, name, outs[i], ins[i], types[i])
		}
		packed[name] = packedTensor{dtype: d, out: int(outs[i]), in: int(ins[i])}
	}
	return packed, nil
}

// unfold makes t, bytes in the file, the matrix that they are the panels of.
func (t *Tensor) unfold(p packedTensor) error {
	size := len(t.mapped)
	// A byte holds at most two weights. Only then can the size be computed.
	if t.DType != I8 || uint64(p.out)*uint64(p.in) > 2*uint64(size) || PanelBytes(p.dtype, p.out, p.in) != size {
		return fmt.Errorf("%s: tensor %q: panels of type %v and shape [%d, %d] wanted, found %d bytes of %v", t.File, t.Name, p.dtype, p.out, p.in, size, t.DType)
	}
	w := Panels(t.mapped, t.Name, p.dtype, p.out, p.in)
	t.DType, t.Shape, t.Data, t.Panels = p.dtype, []int{p.out, p.in}, nil, &w
	return nil
}
