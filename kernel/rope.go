package kernel

import "fmt"

// Pairing says which dimensions of a head RoPE rotates together.
type Pairing uint8

const (
	// HalfSplit pairs dimension i with i + r/2, r being the number of rotated
	// dimensions (GPT-NeoX, Hugging Face's Llama).
	HalfSplit Pairing = iota
	// Interleaved pairs dimension 2i with 2i + 1 (RoFormer, GPT-J).
	Interleaved
)

// Rope rotates one head vector in place: its first 2·len(cos) dimensions, pair
// i by the angle whose cosine and sine are cos[i] and sin[i]; the rest stays.
// (Su et al. 2021, eq. 34.)
func Rope(x []float32, cos, sin []float32, pairing Pairing) {
	sin = sin[:len(cos)]
	switch pairing {
	case HalfSplit:
		lo, hi := x[:len(cos)], x[len(cos):2*len(cos)]
		for i := runRope(lo, hi, cos, sin); i < len(cos); i++ {
			a, b, c := lo[i], hi[i], cos[i]
			lo[i] = float32(a*c) - float32(b*sin[i])
			hi[i] = float32(b*c) + float32(a*sin[i])
		}
	case Interleaved:
		x = x[:2*len(cos)]
		for i, c := range cos {
			a, b := x[2*i], x[2*i+1]
			x[2*i] = float32(a*c) - float32(b*sin[i])
			x[2*i+1] = float32(b*c) + float32(a*sin[i])
		}
	default:
		panic(fmt.Sprintf("kernel: unknown pairing %d", pairing))
	}
}

// RopeBackward rotates the gradient of one head vector back, by the negative
// angles, in place.
func RopeBackward(dx []float32, cos, sin []float32, pairing Pairing) {
	sin = sin[:len(cos)]
	switch pairing {
	case HalfSplit:
		lo, hi := dx[:len(cos)], dx[len(cos):2*len(cos)]
		for i, c := range cos {
			a, b := lo[i], hi[i]
			lo[i] = float32(a*c) + float32(b*sin[i])
			hi[i] = float32(b*c) - float32(a*sin[i])
		}
	case Interleaved:
		dx = dx[:2*len(cos)]
		for i, c := range cos {
			a, b := dx[2*i], dx[2*i+1]
			dx[2*i] = float32(a*c) + float32(b*sin[i])
			dx[2*i+1] = float32(b*c) - float32(a*sin[i])
		}
	default:
		panic(fmt.Sprintf("kernel: unknown pairing %d", pairing))
	}
}
