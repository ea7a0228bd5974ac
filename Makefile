# Every target is also a plain command: see CONTRIBUTING.md.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
# The active conda or virtual environment is used if it holds this checkout (as `conda env create`
# with environment.yml leaves it); any other is left alone, and .venv is made.
ACTIVE := $(or $(CONDA_PREFIX),$(VIRTUAL_ENV))
HOLDS_CHECKOUT := $(if $(ACTIVE),$(shell grep -ls 'file://$(CURDIR)"' \
    $(ACTIVE)/lib/python3.1[12]/site-packages/lasoftmoe-*.dist-info/direct_url.json))
VENV ?= $(if $(HOLDS_CHECKOUT),$(ACTIVE),.venv)
JOBS ?= $(shell env -u OMP_NUM_THREADS nproc 2>/dev/null || sysctl -n hw.ncpu)
PORT ?= 8000
SOLUTIONS ?= folded

BIN := $(VENV)/bin
DATA := data/synthetic-laptop
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help book test lint data assignments grade course-tests serve pdf report lab lock clean

help:  ## list the targets
	@echo "usage: make TARGET [JOBS=n] [PORT=n] [SOLUTIONS=folded|shown|none]"
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

book: $(VENV)/.installed-book $(DATA)/dataset.json  ## environment, data, all notebooks, the site in _build/html
	@$(BIN)/python -m tools.build_book --jobs $(JOBS) --solutions $(SOLUTIONS)

test: $(VENV)/.installed-test $(DATA)/dataset.json  ## all tests, slow ones too (those of the site after make book)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -ra -n $(JOBS) --dist loadfile

lint: $(VENV)/.installed-test  ## style of code and notebooks, types, no stored outputs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyrefly check --python-interpreter-path $(BIN)/python
	$(BIN)/nbstripout --verify --keep-id book/*.ipynb

data: $(DATA)/dataset.json  ## the embedded data set

assignments: $(VENV)/.installed-book  ## blank notebooks, solutions and rubric: CHAPTER=06 FORMAT=plain|nbgrader|otter|all SECRET=
	@$(BIN)/python -m tools.assignments build $(if $(CHAPTER),--chapter $(CHAPTER)) --format $(or $(FORMAT),plain) \
	    $(if $(SECRET),--secret "$(SECRET)")

grade: $(VENV)/.installed-book  ## grade a class: CHAPTER=06 SUBMISSIONS=DIR OUT=DIR, also ROSTER= SECRET= DUE= PENALTY= RESUME=1 PER_STUDENT=1
	@test -n "$(CHAPTER)" -a -n "$(SUBMISSIONS)" -a -n "$(OUT)" || \
	    { echo "make grade CHAPTER=06 SUBMISSIONS=DIR OUT=DIR (a submission is DIR/<student_id>/ch06.ipynb)" >&2; exit 2; }
	@$(BIN)/python -m lasoftmoe.exercises.grading --chapter $(CHAPTER) --submissions "$(SUBMISSIONS)" --out "$(OUT)" \
	    $(if $(ROSTER),--roster "$(ROSTER)") $(if $(SECRET),--secret "$(SECRET)") $(if $(DUE),--due "$(DUE)") \
	    $(if $(PENALTY),--penalty $(PENALTY)) $(if $(RESUME),--resume) $(if $(PER_STUDENT),--per-student)

course-tests: $(VENV)/.installed-test  ## your own implementation against the course's tests: IMPL=my_moe
	@test -n "$(IMPL)" || { echo "make course-tests IMPL=my_moe (see lasoftmoe/exercises/adapters.py)" >&2; exit 2; }
	@$(BIN)/python -m tools.course_tests $(IMPL)

serve: $(VENV)/.installed-book  ## look at the built site on this machine: PORT=8000
	$(BIN)/python -m tools.site.serve --port $(PORT)

pdf: $(VENV)/.installed-test book  ## the whole book as one PDF, through Chromium
	$(BIN)/python -m tools.site.pdf --solutions $(SOLUTIONS)

report: $(VENV)/.installed-test book  ## the report of the reproduction as a PDF, through Chromium
	$(BIN)/python -m tools.site.report

lab: $(VENV)/.installed-lab $(DATA)/dataset.json  ## work in the notebooks: JupyterLab, boxes and formulas shown
	$(BIN)/jupyter lab --notebook-dir=book

lock: $(VENV)/.installed-test  ## choose the newest allowed versions again: writes constraints.txt
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/python -m tools.lock

clean:  ## delete what was built: site, runs, embedded data (not the environment)
	rm -rf _build runs $(DATA)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; \
	    v[:2] in ((3, 11), (3, 12)) or sys.exit("$(PYTHON) is Python %d.%d; the book needs 3.11 or 3.12. Name another one: make book PYTHON=python3.11" % v[:2])'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-book: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing packages into $(VENV) (about 6 GB, some minutes)"
	$(PIP_INSTALL) -e ".[book]"
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed-book
	$(PIP_INSTALL) -e ".[book,test]"
	@touch $@

$(VENV)/.installed-lab: $(VENV)/.installed-book
	$(PIP_INSTALL) -e ".[book,lab]"
	@touch $@

$(DATA)/dataset.json: $(VENV)/.installed-book $(shell find data_prep -name '*.py' -o -name '*.safetensors')
	$(BIN)/python -m data_prep synthetic --preset laptop --out $(DATA) --workers $(JOBS) --overwrite
	@touch $@
