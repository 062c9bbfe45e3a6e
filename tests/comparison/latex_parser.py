"""A strict reader of the LaTeX that tables are written in: what it passes, an article sets.

It knows the commands of LaTeX itself and of booktabs that tables use, and how many arguments each
takes; anything else, an unbalanced brace, dollar or environment, a special character that is not
escaped, or a row with another number of columns is an error.
"""

import re

ARGUMENTS = {  # required arguments; an optional one where `OPTIONAL` says so
    "centering": 0, "small": 0, "footnotesize": 0, "scriptsize": 0, "medskip": 0, "par": 0,
    "toprule": 0, "midrule": 0, "bottomrule": 0, "tabcolsep": 0, "linewidth": 0,
    "setlength": 2, "addtocounter": 2, "caption": 1,
    "label": 1, "textbf": 1, "textit": 1, "makebox": 1,
    "parbox": 2, "shortstack": 1, "textbackslash": 1, "textasciitilde": 1,
    "textasciicircum": 1, "ldots": 1, "ss": 1, "ae": 1, "AE": 1, "oe": 1, "OE": 1, "o": 1, "O": 1,
    "l": 1, "L": 1, "i": 0, "j": 0, "S": 1,
    "r": 1, "u": 1, "v": 1, "H": 1, "c": 1,
}  # fmt: skip
OPTIONAL = {"makebox", "shortstack"}
SIGNS = set("%&_#${},")  # what may be escaped by a backslash alone
ACCENTS = set("`'^~=.\"")
IN_MATHS = {
    "times", "cdot", "pm", "leq", "geq", "approx", "rightarrow", "surd", "circ", "infty", "alpha",
    "beta", "gamma", "Delta", "delta", "theta", "lambda", "mu", "rho", "sigma", "tau", "chi",
    "psi", "omega",
}  # fmt: skip
MATHS = re.compile(r"(?:[-+<>|0-9]|[\^_]\{(?:[-+0-9]|\\circ)+\}|\\([A-Za-z]+))+")


class Tex:
    """The file read: `tables`, each with its `layout` and `rows` of cells as they stand."""

    def __init__(self, text: str):
        assert text.isascii(), "not ASCII"
        text = re.sub(r"(?m)^%.*\n|(?<!\\)%\n[ \t]*", "", text)
        self.text, self.place, self.tables = text, 0, []
        self._block(until=None)

    def _block(
        self, until: str | None, cells: bool = False, plain: bool = False
    ) -> list[list[str]]:
        r"""Read up to "}", "\end" or the end; give the cells where they are allowed."""
        rows, start = [[]], self.place
        while self.place < len(self.text):
            character = self.text[self.place]
            if character == "\\":
                before = self.place
                command = self._command()
                if command == "\\":
                    assert cells or plain, "a line break outside a table"
                    assert self.text[self.place :].lstrip()[:1] not in "[*", "a row's first sign"
                    if cells:
                        rows[-1].append(self.text[start:before].strip())
                        rows.append([])
                        start = self.place
                elif command == "end":
                    assert until == "end", r"\end without \begin"
                    assert not cells or (rows[-1] == [] and self._rules(start, before))
                    return rows[:-1]
            elif character == "{":
                self._group()
            elif character == "}":
                assert until == "}", "a brace closes that is not open"
                return rows
            elif character == "$":
                self._maths()
            elif character == "&":
                assert cells, "& outside a table"
                rows[-1].append(self.text[start : self.place].strip())
                self.place += 1
                start = self.place
            else:
                assert character not in '%#_^<>|"', f"{character} is not escaped"
                self.place += 1
        assert until is None, f"{until} is missing"
        return rows

    def _rules(self, start: int, end: int) -> bool:
        return self.text[start:end].strip() in ("", r"\bottomrule")

    def _group(self, plain: bool = False) -> None:
        assert self.text[self.place] == "{", f"an argument is missing at {self._here()}"
        self.place += 1
        self._block(until="}", plain=plain)
        self.place += 1

    def _argument(self) -> str:
        start = self.place
        self._group()
        return self.text[start + 1 : self.place - 1]

    def _maths(self) -> None:
        end = self.text.index("$", self.place + 1)
        inside = self.text[self.place + 1 : end]
        assert MATHS.fullmatch(inside), f"maths: {inside}"
        assert set(re.findall(r"\\([A-Za-z]+)", inside)) <= IN_MATHS
        self.place = end + 1

    def _command(self) -> str:
        match = re.compile(r"\\([A-Za-z]+|.)[ ]*", re.DOTALL).match(self.text, self.place)
        name = match.group(1)
        self.place = match.end()
        if name == "begin":
            self._environment()
        elif name == "end":
            pass
        elif name in ACCENTS:
            self._group()
        elif not name.isalpha():
            assert name in SIGNS | {"\\"}, rf"\{name}"
            self.place = match.start() + 2
        else:
            assert name in ARGUMENTS, rf"\{name} is none of LaTeX's or booktabs'"
            while name in OPTIONAL and self.text[self.place] == "[":
                self.place = self.text.index("]", self.place) + 1
            for _ in range(ARGUMENTS[name]):
                self._group(plain=name == "shortstack")
        return name

    def _environment(self) -> None:
        name = self._argument()
        layout = None
        if name == "table":
            assert self.text.startswith("[htbp]", self.place)
            self.place += len("[htbp]")
        else:
            assert name == "tabular", name
            layout = self._argument()
        rows = self._block(until="end", cells=name == "tabular")
        assert self._argument() == name
        if layout is not None:
            columns = re.findall(r"[lr]|p\{\d+pt\}", layout)
            assert "".join(columns) == layout, layout
            for row in rows:
                assert len(row) == len(columns), f"{len(row)} columns of {len(columns)}: {row}"
            rows = [[re.sub(r"^(\\(top|mid)rule\s*)+", "", cell) for cell in row] for row in rows]
            self.tables.append({"layout": columns, "rows": rows})

    def _here(self) -> str:
        return self.text[self.place - 20 : self.place + 20]
