package engine

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
)

// decode stores a JSON value in a field of Params. It returns what was wanted
// where the value is of another kind.
func decode(field any, value json.RawMessage) (wanted string) {
	ok := false
	switch f := field.(type) {
	case *bool:
		wanted, ok = "true or false", decodeBool(value, f)
	case *int:
		wanted, ok = "a whole number", decodeInt(value, f, math.MinInt32, math.MaxInt32)
	case *int32:
		wanted, ok = "an id", decodeInt(value, f, -1, math.MaxInt32)
	case *uint64:
		wanted, ok = "a whole number from 0 to 18446744073709551615", decodeSeed(value, f)
	case *float64:
		wanted, ok = "a number", decodeNumber(value, f)
	case *[]int32:
		wanted, ok = "an id or a list of ids", decodeIDs(value, f)
	case *[][]int32:
		wanted, ok = "a list of lists of ids", decodeIDLists(value, f)
	case *[]string:
		wanted, ok = "a string or a list of strings", decodeStrings(value, f)
	case *[]LogitBias:
		wanted, ok = `an object of ids and numbers, {"12": -1.5}`, decodeLogitBias(value, f)
	case *[]SequenceBias:
		wanted, ok = "a list of pairs of ids and a number, [[[1, 2], -1.5]]", decodeSequenceBias(value, f)
	case *ExponentialDecay:
		wanted, ok = "a start and a factor, [5, 1.1]", decodeDecay(value, f)
	case *EarlyStopping:
		wanted, ok = `true, false or "never"`, decodeEarly(value, f)
	}
	if ok {
		return ""
	}
	return wanted
}

// encode returns a field as JSON that decode takes.
func encode(field any) string {
	value := field
	switch f := field.(type) {
	case *EarlyStopping:
		value = map[EarlyStopping]any{EarlyHeuristic: false, EarlyStop: true, EarlyNever: "never"}[*f]
	case *ExponentialDecay:
		value = []any{f.Start, f.Factor}
	case *[]LogitBias:
		biases := map[string]float64{}
		for _, b := range *f {
			biases[strconv.Itoa(int(b.ID))] = b.Bias
		}
		value = biases
	case *[]SequenceBias:
		biases := [][]any{}
		for _, b := range *f {
			biases = append(biases, []any{b.IDs, b.Bias})
		}
		value = biases
	}
	text, err := json.Marshal(value)
	switch {
	case err != nil:
		return err.Error() // of NaN, which Validate refuses
	case string(text) == "null":
		return "[]" // a list that is nil
	}
	return string(text)
}

// assign copies a field of the kinds that decode knows.
func assign(to, from any) {
	switch f := from.(type) {
	case *bool:
		*to.(*bool) = *f
	case *int:
		*to.(*int) = *f
	case *int32:
		*to.(*int32) = *f
	case *uint64:
		*to.(*uint64) = *f
	case *float64:
		*to.(*float64) = *f
	case *[]int32:
		*to.(*[]int32) = *f
	case *[][]int32:
		*to.(*[][]int32) = *f
	case *[]string:
		*to.(*[]string) = *f
	case *[]LogitBias:
		*to.(*[]LogitBias) = *f
	case *[]SequenceBias:
		*to.(*[]SequenceBias) = *f
	case *ExponentialDecay:
		*to.(*ExponentialDecay) = *f
	case *EarlyStopping:
		*to.(*EarlyStopping) = *f
	}
}

// asJSON turns the text of a flag into the JSON of a field; what it cannot
// turn stays as it is.
func asJSON(field any, text string) json.RawMessage {
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
		if _, isStrings := field.(*[]string); !isStrings || json.Valid([]byte(text)) {
			return json.RawMessage(text)
		}
	}
	switch field.(type) {
	case *[]int32, *ExponentialDecay:
		return json.RawMessage("[" + text + "]")
	case *[][]int32:
		return json.RawMessage("[[" + strings.ReplaceAll(text, ";", "],[") + "]]")
	case *[]string:
		list, _ := json.Marshal(strings.Split(text, ","))
		return list
	case *[]LogitBias:
		return logitBiasJSON(text)
	case *[]SequenceBias:
		return sequenceBiasJSON(text)
	case *EarlyStopping:
		if text == "never" {
			return json.RawMessage(`"never"`)
		}
	case *float64:
		if x, err := strconv.ParseFloat(text, 64); err == nil && finite(x) {
			return strconv.AppendFloat(nil, x, 'g', -1, 64)
		}
	}
	return json.RawMessage(text)
}

// logitBiasJSON turns 1=2.5,3=-1 into {"1":2.5,"3":-1}.
func logitBiasJSON(text string) json.RawMessage {
	pairs := strings.Split(text, ",")
	for i, pair := range pairs {
		id, bias, _ := strings.Cut(pair, "=")
		pairs[i] = `"` + strings.TrimSpace(id) + `":` + bias
	}
	return json.RawMessage("{" + strings.Join(pairs, ",") + "}")
}

// sequenceBiasJSON turns 1,2=2.5;3=-1 into [[[1,2],2.5],[[3],-1]].
func sequenceBiasJSON(text string) json.RawMessage {
	pairs := strings.Split(text, ";")
	for i, pair := range pairs {
		ids, bias, _ := strings.Cut(pair, "=")
		pairs[i] = "[[" + ids + "]," + bias + "]"
	}
	return json.RawMessage("[" + strings.Join(pairs, ",") + "]")
}

// decodeNumber takes numbers alone, not null.
func decodeNumber(value json.RawMessage, f *float64) bool {
	return value[0] != 'n' && json.Unmarshal(value, f) == nil
}

func decodeBool(value json.RawMessage, f *bool) bool {
	return value[0] != 'n' && json.Unmarshal(value, f) == nil
}

// decodeInt takes whole numbers, 50.0 among them.
func decodeInt[T int | int32](value json.RawMessage, f *T, low, high float64) bool {
	var x float64
	if !decodeNumber(value, &x) || x != math.Trunc(x) || x < low || x > high {
		return false
	}
	*f = T(x)
	return true
}

func decodeSeed(value json.RawMessage, f *uint64) bool {
	x, err := strconv.ParseUint(string(value), 10, 64)
	if err != nil {
		return false
	}
	*f = x
	return true
}

func decodeIDs(value json.RawMessage, f *[]int32) bool {
	var one int32
	if decodeInt(value, &one, math.MinInt32, math.MaxInt32) {
		*f = []int32{one}
		return true
	}
	return decodeList(value, f, func(v json.RawMessage, id *int32) bool {
		return decodeInt(v, id, math.MinInt32, math.MaxInt32)
	})
}

func decodeIDLists(value json.RawMessage, f *[][]int32) bool {
	return decodeList(value, f, func(v json.RawMessage, ids *[]int32) bool {
		return v[0] == '[' && decodeIDs(v, ids)
	})
}

func decodeStrings(value json.RawMessage, f *[]string) bool {
	var one string
	if json.Unmarshal(value, &one) == nil {
		*f = []string{one}
		return true
	}
	return decodeList(value, f, func(v json.RawMessage, s *string) bool {
		return v[0] == '"' && json.Unmarshal(v, s) == nil
	})
}

// decodeList decodes the elements of an array.
func decodeList[T any](value json.RawMessage, f *[]T, element func(json.RawMessage, *T) bool) bool {
	var values []json.RawMessage
	if json.Unmarshal(value, &values) != nil {
		return false
	}
	list := make([]T, len(values))
	for i, v := range values {
		if !element(v, &list[i]) {
			return false
		}
	}
	*f = list
	return true
}

// decodeLogitBias gives the biases in ascending order of ids.
func decodeLogitBias(value json.RawMessage, f *[]LogitBias) bool {
	var biases map[string]float64
	if json.Unmarshal(value, &biases) != nil {
		return false
	}
	list := make([]LogitBias, 0, len(biases))
	for key, bias := range biases {
		id, err := strconv.ParseInt(key, 10, 32)
		if err != nil {
			return false
		}
		list = append(list, LogitBias{int32(id), bias})
	}
	slices.SortFunc(list, func(a, b LogitBias) int { return cmp.Compare(a.ID, b.ID) })
	*f = list
	return true
}

func decodeSequenceBias(value json.RawMessage, f *[]SequenceBias) bool {
	return decodeList(value, f, func(v json.RawMessage, b *SequenceBias) bool {
		var pair []json.RawMessage
		return json.Unmarshal(v, &pair) == nil && len(pair) == 2 &&
			pair[0][0] == '[' && decodeIDs(pair[0], &b.IDs) && decodeNumber(pair[1], &b.Bias)
	})
}

func decodeDecay(value json.RawMessage, f *ExponentialDecay) bool {
	var pair []json.RawMessage
	return json.Unmarshal(value, &pair) == nil && len(pair) == 2 &&
		decodeInt(pair[0], &f.Start, 0, math.MaxInt32) && decodeNumber(pair[1], &f.Factor)
}

func decodeEarly(value json.RawMessage, f *EarlyStopping) bool {
	switch string(value) {
	case "true":
		*f = EarlyStop
	case "false":
		*f = EarlyHeuristic
	case `"never"`:
		*f = EarlyNever
	default:
		return false
	}
	return true
}
