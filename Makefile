# Everything on a fresh machine with Python 3.11, make and a compiler:
#   make demo    simulate a biobank, compare its recordings before and after registration, write a report
#   make test    the test suite and the style checks
#   make zoo     train every model of model_zoo/ anew, on simulated people; goes on where it was stopped

PYTHON ?= python3
VENV := .venv
OUT := runs/demo
ZOO_RUN := runs/model_zoo

.PHONY: demo test zoo

demo: $(VENV)/installed
	$(VENV)/bin/regreveal demo --out $(OUT)

test: $(VENV)/installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

zoo: $(VENV)/installed
	$(VENV)/bin/regreveal run model_zoo/train.toml --out $(ZOO_RUN)
	$(VENV)/bin/python -m model_zoo.build $(ZOO_RUN)

# A marker file, so that an installation cut short is made again.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	touch $@
