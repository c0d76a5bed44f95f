package dataset

import (
	"bytes"
	"encoding/json"
	"errors"
)

// splitObject returns the fields of a JSON object, as stretches of data. Of two
// of the same name the later counts, as for encoding/json, which goes over the
// data four times for the same.
func splitObject(data []byte) (map[string]json.RawMessage, error) {
	if !json.Valid(data) {
		var value any
		return nil, json.Unmarshal(data, &value) // says where
	}
	i := skipSpace(data, 0)
	if data[i] != '{' {
		return nil, errors.New("another value")
	}
	fields := map[string]json.RawMessage{}
	for i = skipSpace(data, i+1); data[i] != '}'; {
		end := stringEnd(data, i)
		name, err := unquote(data[i:end])
		if err != nil {
			return nil, err
		}
		i = skipSpace(data, skipSpace(data, end)+1) // behind the colon
		end = valueEnd(data, i)
		fields[name] = data[i:end:end]
		if i = skipSpace(data, end); data[i] == ',' {
			i = skipSpace(data, i+1)
		}
	}
	return fields, nil
}

// unquote returns the text of a JSON string.
func unquote(raw []byte) (string, error) {
	if len(raw) >= 2 && raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), nil
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err
}

func skipSpace(data []byte, i int) int {
	for data[i] == ' ' || data[i] == '\n' || data[i] == '\t' || data[i] == '\r' {
		i++
	}
	return i
}

// stringEnd returns the index behind the string that begins at i.
func stringEnd(data []byte, i int) int {
	for i++; ; i++ {
		i += bytes.IndexByte(data[i:], '"')
		slashes := 0
		for data[i-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return i + 1
		}
	}
}

// valueEnd returns the index behind the value, in an object, that begins at i.
func valueEnd(data []byte, i int) int {
	for depth := 0; ; {
		switch data[i] {
		case '"':
			i = stringEnd(data, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			if depth == 0 { // the object's own
				return i
			}
			depth--
			i++
		case ',', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return i
			}
			i++
			continue
		default: // part of a number or a name, or a colon
			i++
			continue
		}
		if depth == 0 {
			return i
		}
	}
}
