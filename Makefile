# Everything on a fresh machine with Python 3.11, make and a compiler:
#   make demo    simulate a biobank, compare its ECGs before and after alignment, write a report
#   make test    the test suite and the style checks

PYTHON ?= python3
VENV := .venv
OUT := runs/demo

.PHONY: demo test

demo: $(VENV)/installed
	$(VENV)/bin/regreveal demo --out $(OUT)

test: $(VENV)/installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/python -m pytest

# A marker file, so that an installation cut short is made again.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	touch $@
