"""Documents as text, in JSON and YAML. Numbers never pass through a float."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NoReturn

import yaml

FORMATS = ("json", "yaml")
STR, SEQ, MAP, BOOL, NULL = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map", "bool", "null"))
# Not yes, no, on and off: NO is a country.
WORDS: Mapping[str, Mapping[str, bool | None]] = {
    BOOL: {"true": True, "True": True, "false": False, "False": False},
    NULL: {"~": None, "null": None, "Null": None, "": None},
}


class DocumentFault(ValueError):
    """The text is no document of its format; says where and why."""


class _Loader(yaml.SafeLoader):
    """YAML in which only null, true and false are anything but text: 010, 1e3, 0.1 and 12:30 stay as they are written,
    and so do days. Without aliases, with which a short text becomes a document of any size."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            alias = self.peek_event()  # type: ignore[no-untyped-call]
            fault = f"*{alias.anchor} is an alias: write out what it stands for"
            raise yaml.composer.ComposerError(None, None, fault, alias.start_mark)
        return super().compose_node(parent, index)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """No key brings in those of another mapping."""


class _Dumper(yaml.SafeDumper):
    """Lists stand below their names, as people write them, and what is there twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


# A tag such as !!int, which would read its text in ways of its own, is refused like any that is not known.
_Loader.yaml_constructors = {tag: yaml.SafeLoader.yaml_constructors[tag] for tag in (None, STR, SEQ)}
_Loader.yaml_implicit_resolvers = {}
for _tag, _words in WORDS.items():
    _Loader.add_implicit_resolver(_tag, re.compile(f"({'|'.join(_words)})$"), [word[:1] for word in _words])


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    mapping = loader.construct_mapping(node, deep=True)
    if twice := _twice(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
        raise yaml.constructor.ConstructorError(None, None, f"{twice[0]!r} is there twice", node.start_mark)
    return mapping


def _word(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> bool | None:
    text = loader.construct_scalar(node)
    words = WORDS[node.tag]
    if text not in words:
        kind = node.tag.rpartition(":")[2]
        raise yaml.constructor.ConstructorError(None, None, f"{text!r} is no {kind}", node.start_mark)
    return words[text]


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # In other styles line ends of other alphabets come back as blanks.
    return dumper.represent_scalar(STR, text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _text)
for _tag in WORDS:
    _Loader.add_constructor(_tag, _word)
_Loader.add_constructor(MAP, _mapping)


def read_text(text: str, form: str) -> Any:
    """What the text of a document says. Raises DocumentFault."""
    try:
        if form == "yaml":
            return yaml.load(text, Loader=_Loader)  # noqa: S506 - of safe types only
        return json.loads(text, parse_float=_number, parse_constant=_refuse, object_pairs_hook=_object)
    except (yaml.YAMLError, ValueError, ArithmeticError, RecursionError) as error:
        raise DocumentFault(str(error) or "It is nested too deeply.") from None


def write_text(document: Mapping[str, Any], form: str) -> str:
    """A document as text, in the order of its keys, with a line end."""
    if form == "yaml":
        return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError:
        raise ValueError("A number has an exponent that is out of range") from None


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if twice := _twice(name for name, _ in pairs):
        raise ValueError(f"{twice[0]!r} is there twice")
    return dict(pairs)


def _twice(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]
