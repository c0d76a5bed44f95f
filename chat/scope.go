package chat

import (
	"maps"
	"slices"
	"strings"
)

// This file gives every name in the tree its variable. The rules are Jinja's
// (jinja2/idtracking.py): a scope is analysed as a whole before it runs, a name
// assigned in it is its own variable that starts as a copy of the outer one,
// and macros see the variables around them as they are when called.

// funcScope is a body that runs with an activation (an array of slots) of its
// own: the template, a macro, a recursive loop, a loop's condition, a block.
type funcScope struct {
	parent *funcScope
	slots  map[slotKey]int
}

// slotKey names a variable within a funcScope: scopes at one level that do not
// nest share it.
type slotKey struct {
	level int
	name  string
}

type variable struct {
	fn   *funcScope
	slot int
}

func newFunc(parent *funcScope) *funcScope {
	return &funcScope{parent: parent, slots: map[slotKey]int{}}
}

// refTo returns v as seen from code that runs in fn.
func (fn *funcScope) refTo(v variable) ref {
	up := 0
	for f := fn; f != v.fn; f = f.parent {
		up++
	}
	return ref{up, v.slot}
}

type loadKind uint8

const (
	loadParam   loadKind = iota // set by whoever enters the scope
	loadContext                 // the render's variable of that name
	loadAlias                   // a copy of the outer variable
	loadUnset
)

type load struct {
	kind loadKind
	name string
	from variable
}

// scope is what to do on entry: set these slots. On exit they are unset.
type scope []loadStep

type loadStep struct {
	kind loadKind
	slot int
	name string
	from ref
}

// symbols are the variables of one scope. A branch of an if is a layer over
// the scope it belongs to (base) until it is merged.
type symbols struct {
	parent *symbols
	base   *symbols
	level  int
	fn     *funcScope
	refs   map[string]variable
	loads  map[variable]load
	stores map[string]bool
}

func newSymbols(parent *symbols, fn *funcScope) *symbols {
	s := &symbols{parent: parent, fn: fn, refs: map[string]variable{}, loads: map[variable]load{}, stores: map[string]bool{}}
	if parent != nil {
		s.level = parent.level + 1
	}
	return s
}

func (s *symbols) branch() *symbols {
	b := newSymbols(s.parent, s.fn)
	b.base = s
	return b
}

func (s *symbols) absorb(o *symbols) {
	maps.Copy(s.refs, o.refs)
	maps.Copy(s.loads, o.loads)
	maps.Copy(s.stores, o.stores)
}

// own finds a name of this very scope.
func (s *symbols) own(name string) (variable, bool) {
	for ; s != nil; s = s.base {
		if v, ok := s.refs[name]; ok {
			return v, true
		}
	}
	return variable{}, false
}

func (s *symbols) find(name string) (variable, bool) {
	for ; s != nil; s = s.parent {
		if v, ok := s.own(name); ok {
			return v, true
		}
	}
	return variable{}, false
}

func (s *symbols) isStored(name string) bool {
	for ; s != nil; s = s.base {
		if s.stores[name] {
			return true
		}
	}
	return false
}

func (s *symbols) define(name string, l load) variable {
	key := slotKey{s.level, name}
	slot, ok := s.fn.slots[key]
	if !ok {
		slot = len(s.fn.slots)
		s.fn.slots[key] = slot
	}
	v := variable{s.fn, slot}
	s.refs[name] = v
	s.loads[v] = l
	return v
}

func (s *symbols) param(name string) variable {
	s.stores[name] = true
	return s.define(name, load{kind: loadParam})
}

func (s *symbols) load(name string) {
	if _, ok := s.find(name); !ok {
		s.define(name, load{kind: loadContext, name: name})
	}
}

func (s *symbols) store(name string) {
	s.stores[name] = true
	if _, ok := s.own(name); ok {
		return
	}
	if outer, ok := s.parent.find(name); ok {
		s.define(name, load{kind: loadAlias, from: outer})
		return
	}
	s.define(name, load{kind: loadUnset})
}

// merge takes over the branches of an if. A name that only some of them set
// starts as what it is outside.
func (s *symbols) merge(branches ...*symbols) {
	stores := map[string]bool{}
	for _, b := range branches {
		for name := range b.stores {
			if !s.isStored(name) {
				stores[name] = true
			}
		}
	}
	for _, b := range branches {
		s.absorb(b)
	}
	for name := range stores {
		v, _ := s.find(name)
		if outer, ok := s.parent.find(name); ok {
			s.loads[v] = load{kind: loadAlias, from: outer}
		} else {
			s.loads[v] = load{kind: loadContext, name: name}
		}
	}
}

// visit notes the names that n uses in this scope. It does not look into
// scopes of their own.
func (s *symbols) visit(n node) *symbols {
	switch n := n.(type) {
	case *nameExpr:
		switch n.use {
		case useLoad:
			s.load(n.name)
		case useStore:
			s.store(n.name)
		case useParam:
			s.param(n.name)
		}
	case *nsRef:
		s.load(n.name)
	case *ifStmt:
		s.visit(n.test)
		body := s.branch().visitAll(n.body)
		elif := s.branch()
		for _, e := range n.elif {
			elif.visit(e)
		}
		s.merge(body, elif, s.branch().visitAll(n.els))
	case *macroStmt:
		s.store(n.name.name)
	case *setStmt:
		s.visit(n.value)
		s.visit(n.target)
	case *forStmt:
		s.visit(n.iter)
	case *callStmt:
		if n.call != nil {
			s.visit(n.call)
		}
	case *filterStmt:
		s.visit(n.filter)
	case *withStmt:
		s.visitAll(n.values)
	case *setBlockStmt:
		s.visit(n.target)
	case *autoescapeStmt, *blockStmt:
	default:
		s.visitAll(children(n))
	}
	return s
}

func (s *symbols) visitAll(nodes []node) *symbols {
	for _, n := range nodes {
		s.visit(n)
	}
	return s
}

// visitParams notes the targets of a loop.
func (s *symbols) visitParams(n node) {
	switch n := n.(type) {
	case *nameExpr:
		s.param(n.name)
	case *tupleExpr:
		for _, item := range n.items {
			s.visitParams(item)
		}
	}
}

func (s *symbols) scope() scope {
	var out scope
	for v, l := range s.loads {
		step := loadStep{kind: l.kind, slot: v.slot, name: l.name}
		if l.kind == loadAlias {
			step.from = s.fn.refTo(l.from)
		}
		out = append(out, step)
	}
	slices.SortFunc(out, func(a, b loadStep) int { return a.slot - b.slot })
	return out
}

// undeclared returns which of names the nodes read before they set them.
func undeclared(nodes []node, names ...string) []string {
	var found []string
	watch := map[string]bool{}
	for _, name := range names {
		watch[name] = true
	}
	var walk func(n node)
	walk = func(n node) {
		switch n := n.(type) {
		case *blockStmt:
			return
		case *nameExpr:
			if n.use == useLoad && watch[n.name] {
				if !slices.Contains(found, n.name) {
					found = append(found, n.name)
				}
			} else if n.use != useLoad {
				delete(watch, n.name)
			}
		}
		for _, c := range children(n) {
			walk(c)
		}
	}
	for _, n := range nodes {
		walk(n)
	}
	return found
}

// resolver walks the tree scope by scope and fills in refs.
type resolver struct {
	sym      *symbols
	toplevel bool // of the template: what is set here is seen by blocks
	soft     bool // in a branch: an unknown filter fails only when it runs
	inLoop   bool
	escape   escapeMode
	blocks   bool // the template has blocks
}

// resolveTemplate resolves a parsed template and returns its scope, the size
// of its activation, and where {{ self }} goes if it is used.
func resolveTemplate(body []node, blocks []*blockStmt) (scope, int, *ref, error) {
	fn := newFunc(nil)
	r := &resolver{sym: newSymbols(nil, fn), toplevel: true, blocks: len(blocks) > 0}
	self := r.special(body, "self")
	r.sym.visitAll(body)
	if err := r.stmts(body); err != nil {
		return nil, 0, nil, err
	}
	for _, b := range blocks {
		bfn := newFunc(nil)
		br := &resolver{sym: newSymbols(nil, bfn)}
		b.fn = &blockFunc{body: b.body}
		b.fn.selfVar = br.special(b.body, "self")
		b.fn.super = br.special(b.body, "super")
		br.sym.visitAll(b.body)
		if err := br.stmts(b.body); err != nil {
			return nil, 0, nil, err
		}
		b.fn.scope, b.fn.slots = br.sym.scope(), len(bfn.slots)
	}
	return r.sym.scope(), len(fn.slots), self, nil
}

// special declares a variable that the interpreter sets, if body reads it.
func (r *resolver) special(body []node, name string) *ref {
	if len(undeclared(body, name)) == 0 {
		return nil
	}
	return &ref{0, r.sym.param(name).slot}
}

// inner is the scope of a block within the same activation.
func (r *resolver) inner() *resolver { return r.within(r.sym.fn) }

// within is an inner scope that runs in fn.
func (r *resolver) within(fn *funcScope) *resolver {
	return &resolver{sym: newSymbols(r.sym, fn), inLoop: r.inLoop && fn == r.sym.fn, escape: r.escape, blocks: r.blocks}
}

func (r *resolver) branch() *resolver {
	c := *r
	c.soft = true
	return &c
}

func (r *resolver) stmts(body []node) error {
	for _, n := range body {
		if err := r.stmt(n); err != nil {
			return err
		}
	}
	return nil
}

func (r *resolver) stmt(n node) error {
	switch n := n.(type) {
	case *outputStmt:
		n.escape = r.escape
		return r.exprs(n.items)
	case *forStmt:
		return r.forLoop(n)
	case *ifStmt:
		return r.ifElse(n)
	case *macroStmt:
		if err := r.macro(n.def); err != nil {
			return err
		}
		return r.expr(n.name)
	case *callStmt:
		n.escape = r.escape
		if err := r.macro(n.def); err != nil || n.call == nil {
			return err
		}
		return r.expr(n.call)
	case *filterStmt:
		in := r.inner()
		n.escape = r.escape
		in.sym.visitAll(n.body).visit(n.filter)
		return in.block(&n.scope, n.body, n.filter)
	case *withStmt:
		in := r.inner()
		in.sym.visitAll(n.targets).visitAll(n.body)
		if err := r.exprs(n.values); err != nil {
			return err
		}
		return in.block(&n.scope, n.body, n.targets...)
	case *setStmt:
		n.export = r.exports(n.target)
		return r.exprs([]node{n.target, n.value})
	case *setBlockStmt:
		n.export = r.exports(n.target)
		in := r.inner()
		in.sym.visitAll(n.body).visitAll(optional(n.filter))
		if err := in.block(&n.scope, n.body, optional(n.filter)...); err != nil {
			return err
		}
		return r.expr(n.target)
	case *blockStmt:
		if n.scoped {
			n.locals = r.stored()
		}
	case *autoescapeStmt:
		return r.autoescape(n)
	case *breakStmt:
		if !r.inLoop {
			return at(errorf(Syntax, "'break' outside loop"), n.line)
		}
	case *continueStmt:
		if !r.inLoop {
			return at(errorf(Syntax, "'continue' not properly in loop"), n.line)
		}
	}
	return nil
}

// block resolves the statements and expressions of a scope already analysed.
func (r *resolver) block(sc *scope, body []node, exprs ...node) error {
	if err := r.exprs(exprs); err != nil {
		return err
	}
	err := r.stmts(body)
	*sc = r.sym.scope()
	return err
}

func (r *resolver) ifElse(n *ifStmt) error {
	b := r.branch()
	if err := b.expr(n.test); err != nil {
		return err
	}
	if err := b.stmts(n.body); err != nil {
		return err
	}
	for _, e := range n.elif {
		if err := b.ifElse(e); err != nil {
			return err
		}
	}
	return b.stmts(n.els)
}

func (r *resolver) forLoop(n *forStmt) error {
	n.escape = r.escape
	fn := r.sym.fn
	if n.recursive {
		fn = newFunc(fn)
	}
	body, els := r.within(fn), r.within(fn)
	body.inLoop = true
	if n.recursive || len(undeclared(n.body, "loop")) > 0 || hasScopedBlock(n) {
		n.loopVar = &ref{0, body.sym.param("loop").slot}
	}
	body.sym.visitParams(n.target)
	body.sym.visitAll(n.body)
	els.sym.visitAll(n.els)
	if assignsLoop(n) {
		return at(errorf(Syntax, "can't assign to special loop variable in for-loop target"), n.line)
	}
	if n.test != nil {
		tfn := newFunc(r.sym.fn)
		test := r.within(tfn)
		test.sym.visitParams(n.testTarget)
		test.sym.visit(n.test)
		if err := test.block(&n.testScope, nil, n.testTarget, n.test); err != nil {
			return err
		}
		n.testSlots = len(tfn.slots)
	}
	if err := r.expr(n.iter); err != nil {
		return err
	}
	if err := body.block(&n.bodyScope, n.body, n.target); err != nil {
		return err
	}
	if err := els.block(&n.elScope, n.els); err != nil {
		return err
	}
	n.slots = len(fn.slots)
	return nil
}

// assignsLoop reports whether anything in the loop assigns to "loop".
func assignsLoop(n node) bool {
	if name, ok := n.(*nameExpr); ok && name.use == useStore && name.name == "loop" {
		return true
	}
	return slices.ContainsFunc(children(n), assignsLoop)
}

func hasScopedBlock(n node) bool {
	if b, ok := n.(*blockStmt); ok && b.scoped {
		return true
	}
	return slices.ContainsFunc(children(n), hasScopedBlock)
}

func (r *resolver) macro(d *macroDef) error {
	fn := newFunc(r.sym.fn)
	in := r.within(fn)
	for _, p := range d.params {
		in.sym.visit(p)
	}
	in.sym.visitAll(d.defaults).visitAll(d.body)
	special := undeclared(d.body, "caller", "kwargs", "varargs")
	for i, p := range d.params {
		switch p.name {
		case "caller":
			d.explicitCaller = true
			if slices.Contains(special, "caller") && i < len(d.params)-len(d.defaults) {
				return at(errorf(Syntax, `the special "caller" argument must be omitted or be given a default`), d.line)
			}
			special = without(special, "caller")
		case "kwargs", "varargs":
			special = without(special, p.name)
		}
	}
	for _, name := range special {
		v := &ref{0, in.sym.param(name).slot}
		switch name {
		case "caller":
			d.caller = v
		case "kwargs":
			d.kwargs = v
		case "varargs":
			d.varargs = v
		}
	}
	for _, p := range d.params {
		if err := in.expr(p); err != nil {
			return err
		}
	}
	err := in.block(&d.scope, d.body, d.defaults...)
	d.slots = len(fn.slots)
	return err
}

func without(names []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(s string) bool { return s == name })
}

func (r *resolver) autoescape(n *autoescapeStmt) error {
	in := r.inner()
	in.sym.visit(n.value).visitAll(n.body)
	if err := in.expr(n.value); err != nil {
		return err
	}
	in.escape = escapeDynamic
	if c, ok := n.value.(*constExpr); ok {
		in.escape = escapeOff
		if truth(c.value) {
			in.escape = escapeOn
		}
	}
	return in.block(&n.scope, n.body)
}

// exports lists the names that an assignment at the top level shows to blocks.
func (r *resolver) exports(target node) []exportName {
	if !r.toplevel || !r.blocks {
		return nil
	}
	var out []exportName
	switch n := target.(type) {
	case *nameExpr:
		v, _ := r.sym.find(n.name)
		out = append(out, exportName{n.name, r.sym.fn.refTo(v)})
	case *tupleExpr:
		for _, item := range n.items {
			out = append(out, r.exports(item)...)
		}
	}
	return out
}

// stored lists all variables set around here, for a scoped block.
func (r *resolver) stored() []exportName {
	var out []exportName
	seen := map[string]bool{}
	for s := r.sym; s != nil; s = s.parent {
		for name := range s.stores {
			if !seen[name] {
				seen[name] = true
				v, _ := r.sym.find(name)
				out = append(out, exportName{name, r.sym.fn.refTo(v)})
			}
		}
	}
	slices.SortFunc(out, func(a, b exportName) int { return strings.Compare(a.name, b.name) })
	return out
}

func (r *resolver) exprs(nodes []node) error {
	for _, n := range nodes {
		if err := r.expr(n); err != nil {
			return err
		}
	}
	return nil
}

func (r *resolver) expr(n node) error {
	switch n := n.(type) {
	case *nameExpr:
		v, _ := r.sym.find(n.name)
		n.ref = r.sym.fn.refTo(v)
	case *nsRef:
		v, _ := r.sym.find(n.name)
		n.ref = r.sym.fn.refTo(v)
	case *concatExpr:
		n.escape = r.escape
	case *condExpr:
		return r.branch().exprs(children(n))
	case *filterExpr:
		if n.fn == nil && !r.soft {
			return at(errorf(Syntax, "no filter named '%s'", n.name), n.line)
		}
	case *testExpr:
		if n.fn == nil && !r.soft {
			return at(errorf(Syntax, "no test named '%s'", n.name), n.line)
		}
	}
	return r.exprs(children(n))
}
