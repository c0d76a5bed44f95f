"""Writes reference.jsonl: what Jinja2 makes of the templates in it.

    python3 reference.py < reference.jsonl > new.jsonl     (Jinja2 3.1.6, Python 3.11)

The environment is that of transformers' apply_chat_template, save for the
clock, which stands at 2026-02-03 14:05:06.
"""
import copy, datetime, json, sys
import jinja2, jinja2.ext, jinja2.sandbox
from jinja2 import nodes

NOW = datetime.datetime(2026, 2, 3, 14, 5, 6)
VARS = {
    "n": 1, "d": {"a": 1, "b": [1, "x"]}, "inf": "inf",
    "tree": [{"n": "a", "c": [{"n": "b", "c": []}, {"n": "c", "c": [{"n": "d"}]}]}, {"n": "e"}],
    "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "你好"}],
}


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_render"), [], [], body).set_lineno(line)

    def _render(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


env = jinja2.sandbox.ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
env.filters["tojson"] = tojson
env.globals.update(raise_exception=raise_exception, strftime_now=NOW.strftime)
for line in sys.stdin:
    template = json.loads(line)["template"]
    row = {"template": template}
    try:
        row["text"] = env.from_string(template).render(copy.deepcopy(VARS))
    except Exception as e:
        row["error"] = str(e)
    print(json.dumps(row, ensure_ascii=False))
