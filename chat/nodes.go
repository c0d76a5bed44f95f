package chat

// The syntax tree. Names carry their place, filled in by resolve (scope.go).

type node any

// ref is a variable: slot of the activation up levels out.
type ref struct{ up, slot int }

type nameUse uint8

const (
	useLoad nameUse = iota
	useStore
	useParam
)

// escapeMode is what autoescape says where an expression stands.
type escapeMode uint8

const (
	escapeOff escapeMode = iota
	escapeOn
	escapeDynamic // known at run time only
)

// Expressions.
type (
	constExpr struct{ value Value }
	nameExpr  struct {
		line int
		name string
		use  nameUse
		ref  ref
	}
	// nsRef is the target of {% set ns.attr = … %}.
	nsRef struct {
		line       int
		name, attr string
		ref        ref
	}
	tupleExpr struct {
		line  int
		items []node
	}
	listExpr struct{ items []node }
	dictExpr struct{ keys, vals []node }
	condExpr struct {
		line            int
		test, then, els node // els may be nil
	}
	binaryExpr struct {
		line int
		op   string
		l, r node
	}
	unaryExpr struct {
		line int
		op   string
		x    node
	}
	concatExpr struct {
		items  []node
		escape escapeMode
	}
	compareExpr struct {
		line int
		x    node
		ops  []operand
	}
	operand struct {
		op string
		x  node
	}
	filterExpr struct {
		line int
		x    node // nil: the captured text of a filter block
		name string
		fn   *builtin // nil: unknown, an error when it runs
		args callArgs
	}
	testExpr struct {
		line int
		x    node
		name string
		fn   *builtin
		args callArgs
	}
	callExpr struct {
		line int
		fn   node
		args callArgs
	}
	attrExpr struct {
		line int
		x    node
		name string
	}
	itemExpr struct {
		line   int
		x, key node
	}
	sliceExpr struct{ start, stop, step node } // each may be nil
	dataExpr  struct{ text string }
)

type callArgs struct {
	pos        []node
	names      []string // of keywords
	vals       []node
	star       node // *args, or nil
	doubleStar node // **kwargs, or nil
}

// Statements.
type (
	outputStmt struct {
		lines  []int // of items
		items  []node
		escape escapeMode
	}
	forStmt struct {
		line       int
		target     node
		iter       node
		test       node // or nil
		testTarget node // target as the test sees it
		body, els  []node
		recursive  bool
		escape     escapeMode

		loopVar            *ref // where the loop object goes, if the body asks for it
		bodyScope, elScope scope
		testScope          scope
		testSlots          int // size of the test's activation
		slots              int // size of a recursive loop's activation
	}
	ifStmt struct {
		line int
		test node
		body []node
		elif []*ifStmt
		els  []node
	}
	macroStmt struct {
		line int
		name *nameExpr
		def  *macroDef
	}
	// callStmt is {% call %}; without a call, {% generation %}.
	callStmt struct {
		line   int
		def    *macroDef
		call   *callExpr
		escape escapeMode
	}
	filterStmt struct {
		line   int
		filter node
		body   []node
		scope  scope
		escape escapeMode
	}
	withStmt struct {
		line    int
		targets []node
		values  []node
		body    []node
		scope   scope
	}
	setStmt struct {
		line   int
		target node
		value  node
		export []exportName
	}
	setBlockStmt struct {
		line   int
		target node
		filter node // or nil
		body   []node
		scope  scope
		export []exportName
	}
	blockStmt struct {
		line   int
		name   string
		scoped bool
		body   []node
		fn     *blockFunc
		locals []exportName // what a scoped block sees
	}
	autoescapeStmt struct {
		line  int
		value node
		body  []node
		scope scope
	}
	breakStmt    struct{ line int }
	continueStmt struct{ line int }
)

// macroDef is the body of a macro or call block.
type macroDef struct {
	line     int
	name     string
	params   []*nameExpr
	defaults []node // of the last parameters
	body     []node

	scope                   scope
	slots                   int
	caller, kwargs, varargs *ref // where the special variables go, if used
	explicitCaller          bool
}

// blockFunc is the body of a block, which sees the context only.
type blockFunc struct {
	body    []node
	scope   scope
	slots   int
	selfVar *ref
	super   *ref
}

// exportName is a variable that blocks see by name.
type exportName struct {
	name string
	ref  ref
}

// children returns the nodes directly below n, in the order in which Jinja
// visits them.
func children(n node) []node {
	switch n := n.(type) {
	case *tupleExpr:
		return n.items
	case *listExpr:
		return n.items
	case *dictExpr:
		var out []node
		for i := range n.keys {
			out = append(out, n.keys[i], n.vals[i])
		}
		return out
	case *condExpr:
		return optional(n.test, n.then, n.els)
	case *binaryExpr:
		return []node{n.l, n.r}
	case *unaryExpr:
		return []node{n.x}
	case *concatExpr:
		return n.items
	case *compareExpr:
		out := []node{n.x}
		for _, op := range n.ops {
			out = append(out, op.x)
		}
		return out
	case *filterExpr:
		return append(optional(n.x), n.args.children()...)
	case *testExpr:
		return append(optional(n.x), n.args.children()...)
	case *callExpr:
		return append(optional(n.fn), n.args.children()...)
	case *attrExpr:
		return []node{n.x}
	case *itemExpr:
		return []node{n.x, n.key}
	case *sliceExpr:
		return optional(n.start, n.stop, n.step)
	}
	return stmtChildren(n)
}

func stmtChildren(n node) []node {
	switch n := n.(type) {
	case *outputStmt:
		return n.items
	case *forStmt:
		out := append([]node{n.target, n.iter}, n.body...)
		out = append(out, n.els...)
		return append(out, optional(n.test)...)
	case *ifStmt:
		out := append([]node{n.test}, n.body...)
		for _, e := range n.elif {
			out = append(out, e)
		}
		return append(out, n.els...)
	case *macroStmt:
		return n.def.children()
	case *callStmt:
		if n.call != nil {
			return append([]node{n.call}, n.def.children()...)
		}
		return n.def.children()
	case *filterStmt:
		return append(append([]node{}, n.body...), n.filter)
	case *withStmt:
		out := append([]node{}, n.targets...)
		return append(append(out, n.values...), n.body...)
	case *setStmt:
		return []node{n.target, n.value}
	case *setBlockStmt:
		return append(optional(n.target, n.filter), n.body...)
	case *blockStmt:
		return n.body
	case *autoescapeStmt:
		return append([]node{n.value}, n.body...)
	}
	return nil
}

func (d *macroDef) children() []node {
	var out []node
	for _, p := range d.params {
		out = append(out, p)
	}
	return append(append(out, d.defaults...), d.body...)
}

func (a *callArgs) children() []node {
	out := append(append([]node{}, a.pos...), a.vals...)
	return append(out, optional(a.star, a.doubleStar)...)
}

func optional(nodes ...node) []node {
	var out []node
	for _, n := range nodes {
		if n != nil {
			out = append(out, n)
		}
	}
	return out
}

// checkDepth fails for a tree too deep to be walked by recursion.
func checkDepth(body []node) error {
	type item struct {
		n           node
		depth, line int
	}
	var stack []item
	for _, n := range body {
		stack = append(stack, item{n, 1, 0})
	}
	for len(stack) > 0 {
		it := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if line := lineOf(it.n); line > 0 {
			it.line = line
		}
		if it.depth > maxTreeDepth {
			return at(errorf(Syntax, "nested more than %d deep", maxTreeDepth), it.line)
		}
		for _, c := range children(it.n) {
			stack = append(stack, item{c, it.depth + 1, it.line})
		}
	}
	return nil
}

// lineOf returns the line of a statement, or 0.
func lineOf(n node) int {
	switch n := n.(type) {
	case *outputStmt:
		if len(n.lines) > 0 {
			return n.lines[0]
		}
	case *ifStmt:
		return n.line
	case *forStmt:
		return n.line
	case *setStmt:
		return n.line
	}
	return 0
}
