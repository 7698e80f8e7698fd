"""A chat template filled within a budget: it is a small program of whoever made the model.

Jinja's sandbox keeps a template from files and from Python's insides, but not from writing a number a hundred million
characters wide. So it runs here with the names that templates use (the filters and methods below, and transformers' own
`tojson`, `raise_exception` and `strftime_now`), and with a budget: each text or list that is made, used or written
costs its length, and each pass through a loop and each call costs the template's own. What comes out within the budget
is what `apply_chat_template` makes.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import wraps
from typing import Any

from jinja2 import TemplateError, ext, nodes, pass_context
from jinja2.runtime import LoopContext, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

from model.text.conversation import Message

BUDGET = 4_000_000  # characters, and 50 for each of the messages
LONGEST = 100_000  # characters of a template; the longest known has 30,000

_FILTERS = (
    "abs capitalize count d default dictsort e escape first float int items last length list lower map max min reject "
    "rejectattr reverse safe select selectattr sort title trim unique upper"
).split()
_METHODS: dict[type, frozenset[str]] = {
    str: frozenset(
        "capitalize count endswith find index isalnum isalpha isdecimal isdigit islower isnumeric isspace istitle "
        "isupper join lower lstrip partition removeprefix removesuffix replace rfind rindex rpartition rsplit rstrip "
        "split splitlines startswith strip swapcase title upper".split()
    ),
    dict: frozenset("get items keys values".split()),
    list: frozenset("count index".split()),
    tuple: frozenset("count index".split()),
}


def fill(template: str, messages: Sequence[Message], marks: Mapping[str, str]) -> str:
    """A conversation up to where the model is to answer; `marks` are the names of special tokens. Raises `ValueError`.

    The same for the same arguments, but for a template that asks for the date.
    """
    if len(template) > LONGEST:
        raise ValueError(f"it has {len(template):,} characters, and {LONGEST:,} are the most")
    budget = _Budget(BUDGET + 50 * sum(len(each.content) for each in messages))
    environment = _Environment(budget, a_pass=len(template))
    try:
        tree = _Charged().visit(environment.parse(template))
        filled = environment.from_string(tree).generate(
            messages=[{"role": each.role, "content": each.content} for each in messages],
            tools=None,
            documents=None,
            add_generation_prompt=True,
            **marks,
        )
        return "".join(filled)
    # errors of Jinja, of Python's compiler, and whatever a template's own arithmetic comes to
    except Exception as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error


class _Budget:
    def __init__(self, left: int):
        self._left = left

    def charge(self, n: int) -> None:
        self._left -= n
        if self._left < 0:
            raise TemplateError("it does more than any message needs")

    def charge_for(self, *values: Any) -> None:
        """Texts by their characters, and what is in lists and objects by as many times as it is in them."""
        rest = list(values)
        while rest:
            value = rest.pop()
            self.charge(len(value) + 1 if isinstance(value, str | list | tuple | dict) else 1)
            if isinstance(value, list | tuple):
                rest.extend(value)
            elif isinstance(value, dict):
                rest.extend(value)
                rest.extend(value.values())
            elif isinstance(value, int) and value.bit_length() > 4096:
                raise TemplateError("it counts too far")


class _Generation(ext.Extension):
    """transformers' ``{% generation %}``, which marks what a model wrote, and changes nothing."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Any) -> nodes.Scope:
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


class _Charged(NodeTransformer):
    """What Jinja compiles to plain Python, put where its cost is known before it is done."""

    def visit_For(self, node: nodes.For) -> nodes.For:
        if node.recursive:
            raise TemplateError("it has a loop that calls itself")
        self.generic_visit(node)
        node.iter = _filtered(node.iter, "passes")
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:
        self.generic_visit(node)
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), "joined")

    def visit_Compare(self, node: nodes.Compare) -> nodes.Compare:
        self.generic_visit(node)
        for side in (node, *node.ops):
            side.expr = side.expr if isinstance(side.expr, nodes.Const) else _filtered(side.expr, "measured")
        return node

    def visit_Test(self, node: nodes.Test) -> nodes.Test:
        self.generic_visit(node)
        if node.name not in ("defined", "undefined", "none"):
            node.node = _filtered(node.node, "measured")
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:
        self.generic_visit(node)
        return _filtered(node, "measured") if isinstance(node.arg, nodes.Slice) else node

    def _literal(self, node: Any) -> nodes.Expr:
        self.generic_visit(node)
        return _filtered(node, "measured") if getattr(node, "ctx", "load") == "load" else node

    visit_List = visit_Dict = visit_Tuple = _literal


def _filtered(node: nodes.Expr, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


class _Environment(ImmutableSandboxedEnvironment):
    """Everything that a template can do comes by here."""

    intercepted_binops = frozenset(ImmutableSandboxedEnvironment.default_binop_table)  # none is done while compiling

    def __init__(self, budget: _Budget, a_pass: int):
        charge_for = budget.charge_for

        @pass_context  # what needs the context is not done while compiling either
        def finalize(context: Any, value: Any) -> Any:
            charge_for(_to_write(value))
            return value

        super().__init__(
            trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, ext.loopcontrols], finalize=finalize
        )
        self._budget, self._a_pass = budget, a_pass

        @pass_context
        def passes(context: Any, values: Any) -> Iterator[Any]:
            for value in values:
                budget.charge(a_pass)
                yield value

        @pass_context
        def joined(context: Any, values: list[Any]) -> str:
            charge_for(*map(_to_write, values))
            return "".join(map(str, values))

        @pass_context
        def measured(context: Any, value: Any) -> Any:
            charge_for(value)
            return value

        def raise_exception(message: str) -> None:
            raise TemplateError(message)

        known = self.filters
        self.filters = {name: self._charged(known[name]) for name in _FILTERS}
        self.filters |= {"passes": passes, "joined": joined, "measured": measured}
        self.filters["string"] = self._charged(lambda value: str(_to_write(value)))
        self.filters |= {f.__name__: self._charged(f) for f in (self.join, self.replace, self.indent, self.tojson)}
        self.globals = {"range": self.globals["range"], "dict": dict, "namespace": Namespace}
        self.globals |= {"raise_exception": raise_exception, "strftime_now": datetime.now().strftime}

    def _charged(self, function: Callable) -> Callable:
        @wraps(function)
        def charged(*args: Any, **options: Any) -> Any:
            self._budget.charge_for(*args, *options.values())
            result = function(*args, **options)
            self._budget.charge_for(result)
            return result

        return charged

    def join(self, values: Any, d: str = "", attribute: str | None = None) -> str:
        self._budget.charge_for(values)
        values = list(values if attribute is None else (self.getitem(value, attribute) for value in values))
        self._budget.charge_for(*map(_to_write, values))
        self._budget.charge(len(values) * len(d))
        return str(d).join(map(str, values))

    def replace(self, text: str, old: str, new: str, count: int = -1) -> str:
        text, old, new = str(text), str(old), str(new)
        times = text.count(old)
        self._budget.charge(len(new) * (times if count is None or count < 0 else min(count, times)))
        return text.replace(old, new, -1 if count is None else count)

    def indent(self, text: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
        width = " " * min(width, LONGEST) if isinstance(width, int) else width
        self._budget.charge((str(text).count("\n") + 1) * len(width))
        lines = f"{text}\n".splitlines() if text else [""]
        return width * first + "\n".join([lines[0], *(width + line if line or blank else line for line in lines[1:])])

    def tojson(
        self,
        value: Any,
        ensure_ascii: bool = False,
        indent: int | None = None,
        separators: Any = None,
        sort_keys: bool = False,
    ) -> str:
        """As transformers has it: without the HTML escapes of Jinja's own."""
        if not isinstance(indent, int | None) or (indent or 0) > 16:
            raise TemplateError("it indents too far")
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if not super().is_safe_attribute(obj, attr, value):
            return False
        if isinstance(obj, LoopContext | Namespace | Undefined):
            return True
        return any(isinstance(obj, kind) and attr in names for kind, names in _METHODS.items())

    def wrap_str_format(self, value: Any) -> None:
        return None  # `format` is no method of those above

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if operator == "+":
            self._budget.charge_for(left, right)
        elif operator == "*" and not numbers:
            n = left if isinstance(left, int) else right if isinstance(right, int) else 0
            self._budget.charge(max(n, 0) * max(len(side) for side in (left, right) if not isinstance(side, int)))
        elif operator == "%" and not numbers:
            raise TemplateError("it formats numbers")
        elif operator == "**" and not (numbers and abs(left) < 1e6 and abs(right) <= 64):
            raise TemplateError("it counts too far")
        result = super().call_binop(context, operator, left, right)
        self._budget.charge_for(result)
        return result

    def call(__self, __context: Any, __obj: Any, *args: Any, **options: Any) -> Any:
        own = getattr(__obj, "__self__", None)
        if isinstance(own, str) and __obj.__name__ in ("join", "replace"):
            __obj = {"join": lambda values: __self.join(values, own), "replace": _partly(__self.replace, own)}[
                __obj.__name__
            ]
        __self._budget.charge(__self._a_pass)
        __self._budget.charge_for(own, *args, *options.values())
        result = super().call(__context, __obj, *args, **options)
        __self._budget.charge_for(result)
        return result


def _partly(function: Callable, first: Any) -> Callable:
    return lambda *args: function(first, *args)


def _to_write(value: Any) -> Any:
    """A value that is written, if it can be measured."""
    if value is None or isinstance(value, str | int | float | list | tuple | dict | range | Undefined):
        return value
    raise TemplateError(f"it writes a {type(value).__name__}, which is no text")
