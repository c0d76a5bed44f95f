package chat

import "slices"

// tupleOptions says what parser.tuple reads.
type tupleOptions struct {
	targets   bool     // names and literals only
	namespace bool     // and ns.attr
	condexpr  bool     // a if b else c
	ends      []string // names that end it, besides the end of the tag and ')'
	parens    bool     // in parentheses: may be empty
}

// tuple parses expressions joined by commas; a single one stays itself.
func (p *parser) tuple(o tupleOptions) (node, error) {
	line := p.cur().line
	var items []node
	isTuple := false
	for {
		if len(items) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
		}
		if k := p.cur().kind; k == tokVariableEnd || k == tokBlockEnd || p.isOp(")") || p.isName(o.ends...) {
			break
		}
		var x node
		var err error
		if o.targets {
			x, err = p.primary(o.namespace)
		} else {
			x, err = p.expression(o.condexpr)
		}
		if err != nil {
			return nil, err
		}
		items = append(items, x)
		if !p.isOp(",") {
			break
		}
		isTuple = true
		line = p.cur().line
	}
	if !isTuple {
		if len(items) > 0 {
			return items[0], nil
		}
		if !o.parens {
			return nil, p.failf(p.cur().line, "expected an expression, got '%s'", describe(p.cur()))
		}
	}
	return &tupleExpr{line: line, items: items}, nil
}

func (p *parser) assignTarget(namespace bool, ends ...string) (node, error) {
	target, err := p.tuple(tupleOptions{targets: true, namespace: namespace, ends: ends})
	if err != nil {
		return nil, err
	}
	setUse(target, useStore)
	return target, checkTarget(target)
}

func setUse(n node, use nameUse) {
	switch n := n.(type) {
	case *nameExpr:
		n.use = use
	case *tupleExpr:
		for _, item := range n.items {
			setUse(item, use)
		}
	}
}

func checkTarget(n node) error {
	line := 0
	switch n := n.(type) {
	case *nameExpr:
		if !slices.Contains([]string{"true", "false", "none", "True", "False", "None"}, n.name) {
			return nil
		}
		return at(errorf(Syntax, "can't assign to '%s'", n.name), n.line)
	case *nsRef:
		return nil
	case *tupleExpr:
		for _, item := range n.items {
			if err := checkTarget(item); err != nil {
				return err
			}
		}
		return nil
	}
	return at(errorf(Syntax, "can't assign to this expression"), line)
}

func (p *parser) expression(condexpr bool) (node, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.nest-- }()
	if !condexpr {
		return p.or()
	}
	line := p.cur().line
	x, err := p.or()
	for err == nil && p.skipName("if") {
		n := &condExpr{line: line, then: x}
		if n.test, err = p.or(); err != nil {
			break
		}
		if p.skipName("else") {
			n.els, err = p.expression(true)
		}
		x = n
		line = p.cur().line
	}
	return x, err
}

func (p *parser) or() (node, error) {
	x, err := p.and()
	for err == nil && p.isName("or") {
		line := p.next().line
		var r node
		r, err = p.and()
		x = &binaryExpr{line, "or", x, r}
	}
	return x, err
}

func (p *parser) and() (node, error) {
	x, err := p.not()
	for err == nil && p.isName("and") {
		line := p.next().line
		var r node
		r, err = p.not()
		x = &binaryExpr{line, "and", x, r}
	}
	return x, err
}

func (p *parser) not() (node, error) {
	if !p.isName("not") {
		return p.comparison()
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.nest-- }()
	line := p.next().line
	x, err := p.not()
	return &unaryExpr{line, "not", x}, err
}

func (p *parser) comparison() (node, error) {
	line := p.cur().line
	x, err := p.sum()
	if err != nil {
		return nil, err
	}
	var ops []operand
	for {
		op := ""
		switch t := p.cur(); {
		case t.kind == tokOperator && slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, t.text):
			op = t.text
			p.next()
		case p.skipName("in"):
			op = "in"
		case p.isName("not") && p.look().kind == tokName && p.look().text == "in":
			p.pos += 2
			op = "not in"
		}
		if op == "" {
			break
		}
		r, err := p.sum()
		if err != nil {
			return nil, err
		}
		ops = append(ops, operand{op, r})
	}
	if len(ops) == 0 {
		return x, nil
	}
	return &compareExpr{line: line, x: x, ops: ops}, nil
}

// The binary operators from the loosest. All of them bind to the left, ** too;
// ~ binds tighter than +, and unary minus tighter than **.

func (p *parser) sum() (node, error) { return p.leftAssoc(p.concat, "+", "-") }

func (p *parser) concat() (node, error) {
	x, err := p.product()
	if err != nil || !p.isOp("~") {
		return x, err
	}
	items := []node{x}
	for p.skipOp("~") {
		if x, err = p.product(); err != nil {
			return nil, err
		}
		items = append(items, x)
	}
	return &concatExpr{items: items}, nil
}

func (p *parser) product() (node, error) { return p.leftAssoc(p.power, "*", "/", "//", "%") }

func (p *parser) power() (node, error) {
	return p.leftAssoc(func() (node, error) { return p.unary(true) }, "**")
}

func (p *parser) leftAssoc(operand func() (node, error), ops ...string) (node, error) {
	x, err := operand()
	for err == nil && p.cur().kind == tokOperator && slices.Contains(ops, p.cur().text) {
		t := p.next()
		var r node
		r, err = operand()
		x = &binaryExpr{t.line, t.text, x, r}
	}
	return x, err
}

func (p *parser) unary(withFilter bool) (node, error) {
	t := p.cur()
	var x node
	var err error
	if t.kind == tokOperator && (t.text == "-" || t.text == "+") {
		if err := p.enter(); err != nil {
			return nil, err
		}
		defer func() { p.nest-- }()
		p.next()
		x, err = p.unary(false)
		x = &unaryExpr{t.line, t.text, x}
	} else {
		x, err = p.primary(false)
	}
	if err == nil {
		x, err = p.postfix(x)
	}
	if err == nil && withFilter {
		x, err = p.filterExpr(x)
	}
	return x, err
}

func (p *parser) primary(namespace bool) (node, error) {
	t := p.cur()
	switch t.kind {
	case tokName:
		p.next()
		switch t.text {
		case "true", "True":
			return &constExpr{true}, nil
		case "false", "False":
			return &constExpr{false}, nil
		case "none", "None":
			return &constExpr{nil}, nil
		}
		if namespace && p.skipOp(".") {
			attr, err := p.expectName()
			if err != nil {
				return nil, err
			}
			return &nsRef{line: t.line, name: t.text, attr: attr.text}, nil
		}
		return &nameExpr{line: t.line, name: t.text}, nil
	case tokString:
		s := ""
		for p.cur().kind == tokString {
			s += p.next().text
		}
		return &constExpr{s}, nil
	case tokInteger, tokFloat:
		return &constExpr{p.next().value}, nil
	case tokOperator:
		switch t.text {
		case "(":
			return p.parens()
		case "[":
			return p.list()
		case "{":
			return p.dict()
		}
	}
	return nil, p.failf(t.line, "unexpected '%s'", describe(t))
}

func (p *parser) parens() (node, error) {
	p.next()
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.nest-- }()
	x, err := p.tuple(tupleOptions{condexpr: true, parens: true})
	if err != nil {
		return nil, err
	}
	return x, p.expectOp(")")
}

// items calls item for each element of a bracketed list, a trailing comma
// allowed.
func (p *parser) items(end string, item func() error) error {
	p.next()
	for first := true; !p.isOp(end); first = false {
		if !first {
			if err := p.expectOp(","); err != nil {
				return err
			}
			if p.isOp(end) {
				break
			}
		}
		if err := item(); err != nil {
			return err
		}
	}
	return p.expectOp(end)
}

func (p *parser) list() (node, error) {
	n := &listExpr{}
	err := p.items("]", func() error {
		x, err := p.expression(true)
		n.items = append(n.items, x)
		return err
	})
	return n, err
}

func (p *parser) dict() (node, error) {
	n := &dictExpr{}
	err := p.items("}", func() error {
		k, err := p.expression(true)
		if err != nil {
			return err
		}
		if err := p.expectOp(":"); err != nil {
			return err
		}
		v, err := p.expression(true)
		n.keys = append(n.keys, k)
		n.vals = append(n.vals, v)
		return err
	})
	return n, err
}

func (p *parser) postfix(x node) (node, error) {
	for {
		var err error
		switch {
		case p.isOp("."):
			x, err = p.attribute(x)
		case p.isOp("["):
			x, err = p.subscript(x)
		case p.isOp("("):
			x, err = p.call(x)
		default:
			return x, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (p *parser) filterExpr(x node) (node, error) {
	for {
		var err error
		switch {
		case p.isOp("|"):
			x, err = p.filters(x, false)
		case p.isName("is"):
			x, err = p.test(x)
		case p.isOp("("):
			x, err = p.call(x)
		default:
			return x, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (p *parser) attribute(x node) (node, error) {
	line := p.next().line
	t := p.next()
	switch t.kind {
	case tokName:
		return &attrExpr{line, x, t.text}, nil
	case tokInteger:
		return &itemExpr{line, x, &constExpr{t.value}}, nil
	}
	return nil, p.failf(t.line, "expected name or number")
}

func (p *parser) subscript(x node) (node, error) {
	line := p.next().line
	var keys []node
	for !p.isOp("]") {
		if len(keys) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
		}
		k, err := p.subscribed()
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	p.next()
	if len(keys) == 1 {
		return &itemExpr{line, x, keys[0]}, nil
	}
	for _, k := range keys {
		if _, ok := k.(*sliceExpr); ok {
			return nil, p.failf(line, "a slice among several subscripts")
		}
	}
	return &itemExpr{line, x, &tupleExpr{line: line, items: keys}}, nil
}

// subscribed parses an index or a slice a:b:c.
func (p *parser) subscribed() (node, error) {
	var start node
	var err error
	if !p.isOp(":") {
		if start, err = p.expression(true); err != nil || !p.isOp(":") {
			return start, err
		}
	}
	p.next()
	n := &sliceExpr{start: start}
	part := func() (node, error) {
		if p.isOp(":") || p.isOp("]") || p.isOp(",") {
			return nil, nil
		}
		return p.expression(true)
	}
	if n.stop, err = part(); err != nil {
		return nil, err
	}
	if p.skipOp(":") {
		if p.isOp(":") {
			return nil, p.expected("]")
		}
		n.step, err = part()
	}
	return n, err
}

func (p *parser) call(fn node) (node, error) {
	line := p.cur().line
	args, err := p.callArgs()
	return &callExpr{line, fn, args}, err
}

func (p *parser) callArgs() (callArgs, error) {
	var a callArgs
	line := p.cur().line
	invalid := p.failf(line, "invalid syntax for function call expression")
	err := p.items(")", func() error {
		var err error
		switch {
		case p.isOp("*"):
			if a.star != nil || a.doubleStar != nil {
				return invalid
			}
			p.next()
			a.star, err = p.expression(true)
		case p.isOp("**"):
			if a.doubleStar != nil {
				return invalid
			}
			p.next()
			a.doubleStar, err = p.expression(true)
		case p.cur().kind == tokName && p.look().kind == tokOperator && p.look().text == "=":
			if a.doubleStar != nil {
				return invalid
			}
			name := p.next().text
			p.next()
			if slices.Contains(a.names, name) {
				return p.failf(line, "keyword argument repeated: %s", name)
			}
			a.names = append(a.names, name)
			var v node
			v, err = p.expression(true)
			a.vals = append(a.vals, v)
		default:
			if a.star != nil || a.doubleStar != nil || len(a.names) > 0 {
				return invalid
			}
			var v node
			v, err = p.expression(true)
			a.pos = append(a.pos, v)
		}
		return err
	})
	return a, err
}

func (p *parser) dottedName() (string, error) {
	t, err := p.expectName()
	if err != nil {
		return "", err
	}
	name := t.text
	for p.skipOp(".") {
		t, err := p.expectName()
		if err != nil {
			return "", err
		}
		name += "." + t.text
	}
	return name, nil
}

// filters parses |name(args)|…; with inline the first bar is left out.
func (p *parser) filters(x node, inline bool) (node, error) {
	for inline || p.isOp("|") {
		if !inline {
			p.next()
		}
		inline = false
		n := &filterExpr{line: p.cur().line, x: x}
		var err error
		if n.name, err = p.dottedName(); err != nil {
			return nil, err
		}
		if p.isOp("(") {
			if n.args, err = p.callArgs(); err != nil {
				return nil, err
			}
		}
		n.fn = std.filters[n.name]
		x = n
	}
	return x, nil
}

func (p *parser) test(x node) (node, error) {
	line := p.next().line
	negated := p.skipName("not")
	n := &testExpr{line: line, x: x}
	var err error
	if n.name, err = p.dottedName(); err != nil {
		return nil, err
	}
	n.fn = std.tests[n.name]
	switch t := p.cur(); {
	case p.isOp("("):
		n.args, err = p.callArgs()
	case t.kind == tokName && slices.Contains([]string{"else", "or", "and"}, t.text):
	case t.kind == tokName || t.kind == tokString || t.kind == tokInteger || t.kind == tokFloat || p.isOp("[") || p.isOp("{"):
		if p.isName("is") {
			return nil, p.failf(t.line, "you cannot chain multiple tests with is")
		}
		var arg node
		if arg, err = p.primary(false); err == nil {
			arg, err = p.postfix(arg)
		}
		n.args.pos = []node{arg}
	}
	if err != nil {
		return nil, err
	}
	if negated {
		return &unaryExpr{line, "not", n}, nil
	}
	return n, nil
}
