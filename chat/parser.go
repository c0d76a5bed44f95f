package chat

import (
	"slices"
	"strings"
)

// parser reads statements (this file) and expressions (parse_expr.go), after
// jinja2/parser.py.
type parser struct {
	tokens []token
	pos    int
	nest   int
	open   []string // tags awaiting their end
	blocks map[string]*blockStmt
	order  []*blockStmt

	generation bool // there is a generation block
}

func parse(source string) ([]node, *parser, error) {
	tokens, err := lex(source)
	if err != nil {
		return nil, nil, err
	}
	p := &parser{tokens: tokens, blocks: map[string]*blockStmt{}}
	body, err := p.statements()
	if err == nil {
		err = checkDepth(body)
	}
	return body, p, err
}

func (p *parser) cur() *token { return &p.tokens[p.pos] }

func (p *parser) look() *token { return &p.tokens[min(p.pos+1, len(p.tokens)-1)] }

func (p *parser) next() *token {
	t := p.cur()
	if t.kind != tokEOF {
		p.pos++
	}
	return t
}

func (p *parser) isOp(op string) bool { return p.cur().kind == tokOperator && p.cur().text == op }

func (p *parser) isName(names ...string) bool {
	return p.cur().kind == tokName && slices.Contains(names, p.cur().text)
}

func (p *parser) skipOp(op string) bool {
	if p.isOp(op) {
		p.pos++
		return true
	}
	return false
}

func (p *parser) skipName(name string) bool {
	if p.isName(name) {
		p.pos++
		return true
	}
	return false
}

func (p *parser) failf(line int, format string, args ...any) error {
	return at(errorf(Syntax, format, args...), line)
}

func (p *parser) expected(what string) error {
	t := p.cur()
	if t.kind == tokEOF {
		return p.failf(t.line, "unexpected end of template, expected '%s'", what)
	}
	return p.failf(t.line, "expected token '%s', got '%s'", what, describe(t))
}

func (p *parser) expectOp(op string) error {
	if !p.skipOp(op) {
		return p.expected(op)
	}
	return nil
}

func (p *parser) expectName() (*token, error) {
	if p.cur().kind != tokName {
		return nil, p.expected("name")
	}
	return p.next(), nil
}

func describe(t *token) string {
	switch t.kind {
	case tokEOF:
		return "end of template"
	case tokData:
		return "template data / text"
	case tokVariableBegin:
		return "begin of print statement"
	case tokVariableEnd:
		return "end of print statement"
	case tokBlockBegin:
		return "begin of statement block"
	case tokBlockEnd:
		return "end of statement block"
	case tokString, tokInteger, tokFloat, tokName, tokOperator:
		return t.text
	}
	return "unknown"
}

// enter guards the recursion of the parser.
func (p *parser) enter() error {
	p.nest++
	if p.nest > maxNest {
		return p.failf(p.cur().line, "nested more than %d deep", maxNest)
	}
	return nil
}

// statements parses up to the end of the template, or to a tag in ends, whose
// name is then the current token.
func (p *parser) statements(ends ...string) ([]node, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.nest-- }()
	var body []node
	var out *outputStmt
	print := func(line int, n node) {
		if out == nil {
			out = &outputStmt{}
			body = append(body, out)
		}
		out.lines = append(out.lines, line)
		out.items = append(out.items, n)
	}
	for {
		t := p.next()
		switch t.kind {
		case tokEOF:
			if len(ends) > 0 {
				return nil, p.failf(t.line, "unexpected end of template, looking for '%s' (the innermost block that needs to be closed is '%s')",
					strings.Join(ends, "' or '"), p.open[len(p.open)-1])
			}
			return body, nil
		case tokData:
			print(t.line, &dataExpr{t.text})
		case tokVariableBegin:
			line := p.cur().line
			x, err := p.tuple(tupleOptions{condexpr: true})
			if err != nil {
				return nil, err
			}
			if p.cur().kind != tokVariableEnd {
				return nil, p.expected("end of print statement")
			}
			p.next()
			print(line, x)
		case tokBlockBegin:
			out = nil
			if p.isName(ends...) {
				return body, nil
			}
			st, err := p.statement(ends)
			if err != nil {
				return nil, err
			}
			body = append(body, st)
			if err := p.blockEnd(); err != nil {
				return nil, err
			}
		}
	}
}

func (p *parser) blockEnd() error {
	if p.cur().kind != tokBlockEnd {
		return p.expected("end of statement block")
	}
	p.next()
	return nil
}

// body parses the inside of a block up to one of ends, which becomes the
// current token.
func (p *parser) body(ends ...string) ([]node, error) {
	p.skipOp(":")
	if err := p.blockEnd(); err != nil {
		return nil, err
	}
	return p.statements(ends...)
}

// bodyTo is body with a single end, which it consumes.
func (p *parser) bodyTo(end string) ([]node, error) {
	body, err := p.body(end)
	if err == nil {
		p.next()
	}
	return body, err
}

func (p *parser) statement(ends []string) (node, error) {
	t := p.cur()
	if t.kind != tokName {
		return nil, p.failf(t.line, "tag name expected")
	}
	p.open = append(p.open, t.text)
	defer func() { p.open = p.open[:len(p.open)-1] }()
	p.next()
	n, err := p.tag(t, ends)
	if err != nil {
		return nil, err
	}
	return n, nil
}

// tag parses the statement whose name is t.
func (p *parser) tag(t *token, ends []string) (node, error) {
	switch t.text {
	case "for":
		return p.parseFor(t.line)
	case "if":
		return p.parseIf(t.line)
	case "set":
		return p.parseSet(t.line)
	case "macro":
		return p.parseMacro(t.line)
	case "call":
		return p.parseCallBlock(t.line)
	case "filter":
		return p.parseFilterBlock(t.line)
	case "with":
		return p.parseWith(t.line)
	case "block":
		return p.parseBlock(t.line)
	case "print":
		return p.parsePrint(t.line)
	case "autoescape":
		return p.parseAutoescape(t.line)
	case "generation":
		return p.parseGeneration(t.line)
	case "break":
		return &breakStmt{t.line}, nil
	case "continue":
		return &continueStmt{t.line}, nil
	case "include", "import", "from", "extends":
		return nil, p.failf(t.line, "{%% %s %%} is not supported: a chat template stands alone", t.text)
	}
	if len(ends) > 0 {
		return nil, p.failf(t.line, "encountered unknown tag '%s', looking for '%s'", t.text, strings.Join(ends, "' or '"))
	}
	return nil, p.failf(t.line, "encountered unknown tag '%s'", t.text)
}

func (p *parser) parseFor(line int) (node, error) {
	n := &forStmt{line: line}
	var err error
	if n.target, err = p.assignTarget(false, "in"); err != nil {
		return nil, err
	}
	if !p.skipName("in") {
		return nil, p.expected("in")
	}
	if n.iter, err = p.tuple(tupleOptions{ends: []string{"recursive"}}); err != nil {
		return nil, err
	}
	if p.skipName("if") {
		if n.test, err = p.expression(true); err != nil {
			return nil, err
		}
		n.testTarget = cloneTarget(n.target)
	}
	n.recursive = p.skipName("recursive")
	if n.body, err = p.body("endfor", "else"); err != nil {
		return nil, err
	}
	if p.next().text == "else" {
		n.els, err = p.bodyTo("endfor")
	}
	return n, err
}

func cloneTarget(n node) node {
	switch n := n.(type) {
	case *nameExpr:
		c := *n
		return &c
	case *tupleExpr:
		c := &tupleExpr{line: n.line}
		for _, item := range n.items {
			c.items = append(c.items, cloneTarget(item))
		}
		return c
	}
	return n
}

func (p *parser) parseIf(line int) (node, error) {
	first := &ifStmt{line: line}
	for n := first; ; {
		var err error
		if n.test, err = p.tuple(tupleOptions{}); err != nil {
			return nil, err
		}
		if n.body, err = p.body("elif", "else", "endif"); err != nil {
			return nil, err
		}
		t := p.next()
		switch t.text {
		case "elif":
			n = &ifStmt{line: t.line}
			first.elif = append(first.elif, n)
			continue
		case "else":
			first.els, err = p.bodyTo("endif")
		}
		return first, err
	}
}

func (p *parser) parseSet(line int) (node, error) {
	target, err := p.assignTarget(true)
	if err != nil {
		return nil, err
	}
	if p.skipOp("=") {
		value, err := p.tuple(tupleOptions{condexpr: true})
		return &setStmt{line: line, target: target, value: value}, err
	}
	filter, err := p.filters(nil, false)
	if err != nil {
		return nil, err
	}
	body, err := p.bodyTo("endset")
	return &setBlockStmt{line: line, target: target, filter: filter, body: body}, err
}

func (p *parser) parseMacro(line int) (node, error) {
	name, err := p.expectName()
	if err != nil {
		return nil, err
	}
	target := &nameExpr{line: name.line, name: name.text, use: useStore}
	if err := checkTarget(target); err != nil {
		return nil, err
	}
	def := &macroDef{line: line, name: name.text}
	if err := p.signature(def); err != nil {
		return nil, err
	}
	def.body, err = p.bodyTo("endmacro")
	return &macroStmt{line: line, name: target, def: def}, err
}

func (p *parser) signature(def *macroDef) error {
	if err := p.expectOp("("); err != nil {
		return err
	}
	for !p.isOp(")") {
		if len(def.params) > 0 {
			if err := p.expectOp(","); err != nil {
				return err
			}
		}
		t, err := p.expectName()
		if err != nil {
			return err
		}
		param := &nameExpr{line: t.line, name: t.text, use: useParam}
		if err := checkTarget(param); err != nil {
			return err
		}
		if slices.ContainsFunc(def.params, func(o *nameExpr) bool { return o.name == param.name }) {
			return p.failf(t.line, "duplicate argument '%s' in a macro", t.text)
		}
		if p.skipOp("=") {
			d, err := p.expression(true)
			if err != nil {
				return err
			}
			def.defaults = append(def.defaults, d)
		} else if len(def.defaults) > 0 {
			return p.failf(t.line, "non-default argument follows default argument")
		}
		def.params = append(def.params, param)
	}
	return p.expectOp(")")
}

func (p *parser) parseCallBlock(line int) (node, error) {
	n := &callStmt{line: line, def: &macroDef{line: line}}
	if p.isOp("(") {
		if err := p.signature(n.def); err != nil {
			return nil, err
		}
	}
	x, err := p.expression(true)
	if err != nil {
		return nil, err
	}
	call, ok := x.(*callExpr)
	if !ok {
		return nil, p.failf(line, "expected call")
	}
	n.call = call
	n.def.body, err = p.bodyTo("endcall")
	return n, err
}

// parseGeneration reads the block by which templates mark the assistant's own
// text; it renders as its body.
func (p *parser) parseGeneration(line int) (node, error) {
	p.generation = true
	body, err := p.bodyTo("endgeneration")
	return &callStmt{line: line, def: &macroDef{line: line, body: body}}, err
}

func (p *parser) parseFilterBlock(line int) (node, error) {
	filter, err := p.filters(nil, true)
	if err != nil {
		return nil, err
	}
	body, err := p.bodyTo("endfilter")
	return &filterStmt{line: line, filter: filter, body: body}, err
}

func (p *parser) parseWith(line int) (node, error) {
	n := &withStmt{line: line}
	for p.cur().kind != tokBlockEnd {
		if len(n.targets) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
		}
		target, err := p.assignTarget(false)
		if err != nil {
			return nil, err
		}
		setUse(target, useParam)
		if err := p.expectOp("="); err != nil {
			return nil, err
		}
		value, err := p.expression(true)
		if err != nil {
			return nil, err
		}
		n.targets = append(n.targets, target)
		n.values = append(n.values, value)
	}
	body, err := p.bodyTo("endwith")
	n.body = body
	return n, err
}

func (p *parser) parseBlock(line int) (node, error) {
	name, err := p.expectName()
	if err != nil {
		return nil, err
	}
	n := &blockStmt{line: line, name: name.text}
	n.scoped = p.skipName("scoped")
	if p.isName("required") {
		return nil, p.failf(line, "block '%s' is required, but a chat template stands alone", n.name)
	}
	if n.body, err = p.bodyTo("endblock"); err != nil {
		return nil, err
	}
	p.skipName(n.name)
	if p.blocks[n.name] != nil {
		return nil, p.failf(line, "block '%s' defined twice", n.name)
	}
	p.blocks[n.name] = n
	p.order = append(p.order, n)
	return n, nil
}

func (p *parser) parsePrint(line int) (node, error) {
	n := &outputStmt{}
	for p.cur().kind != tokBlockEnd {
		if len(n.items) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
		}
		x, err := p.expression(true)
		if err != nil {
			return nil, err
		}
		n.lines = append(n.lines, line)
		n.items = append(n.items, x)
	}
	return n, nil
}

func (p *parser) parseAutoescape(line int) (node, error) {
	value, err := p.expression(true)
	if err != nil {
		return nil, err
	}
	body, err := p.bodyTo("endautoescape")
	return &autoescapeStmt{line: line, value: value, body: body}, err
}
