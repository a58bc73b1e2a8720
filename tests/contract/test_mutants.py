"""The lists of faults in benchmarks/mutants still fit the code that they are put into."""

import re
from collections import Counter

import pytest

from benchmarks.mutants import core_mutants, node_mutants, opening_mutants, python_mutants, wsgi_mutants
from benchmarks.mutants.core_mutants import CORE
from benchmarks.mutants.mutant import Mutant
from benchmarks.mutants.node_mutants import NODE
from benchmarks.mutants.opening_mutants import OPENING
from benchmarks.mutants.wsgi_mutants import WSGI
from tests.contract.sources import ROOT

LISTS = (CORE, OPENING, NODE, WSGI)
LEAST_FAULTS_OF_A_RULE = 3
FUNCTION = re.compile(r"^ *def (\w+)\((.*?)(?=^ *def |\Z)", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("mutants", LISTS)
def test_every_fault_applies_once(mutants: tuple[Mutant, ...]) -> None:
    texts = {mutant.file: (ROOT / mutant.file).read_text() for mutant in mutants}
    astray = [(mutant.file, mutant.old) for mutant in mutants if mutant.applied_to(texts[mutant.file]) is None]
    assert not astray, "what stands there is not there exactly once"


@pytest.mark.parametrize("mutants", LISTS)
def test_a_fault_of_whole_lines_keeps_their_indentation(mutants: tuple[Mutant, ...]) -> None:
    texts = {mutant.file: "\n" + (ROOT / mutant.file).read_text() for mutant in mutants}
    lines = [mutant for mutant in mutants if mutant.old.startswith(" ") and mutant.old.endswith("\n")]
    assert not [(mutant.file, mutant.old) for mutant in lines if f"\n{mutant.old}" not in texts[mutant.file]]


@pytest.mark.parametrize("mutants", LISTS)
def test_every_rule_has_faults_and_tests(mutants: tuple[Mutant, ...]) -> None:
    faults = Counter(mutant.rule for mutant in mutants)
    assert min(faults.values()) >= LEAST_FAULTS_OF_A_RULE, faults
    assert len({mutant.fault for mutant in mutants}) == len(mutants)
    assert all(mutant.tests for mutant in mutants)
    assert not [name for mutant in mutants for name in mutant.tests if not (ROOT / name).is_file()]


def test_what_is_explained_is_in_the_lists() -> None:
    modules = (core_mutants, opening_mutants, node_mutants, wsgi_mutants)
    for mutants, module in zip(LISTS, modules, strict=True):
        assert module.EQUIVALENT.keys() <= {mutant.fault for mutant in mutants}
    for module in (core_mutants, opening_mutants, node_mutants):
        assert module.TESTS.keys() == module.RULES.keys()


def test_what_mutmut_gets_is_there() -> None:
    for module, tests in python_mutants.MODULES.items():
        assert (ROOT / module).is_file()
        assert all((ROOT / name).is_file() for name in tests)


def test_what_is_explained_of_mutmuts_still_stands_in_the_code() -> None:
    texts = [(ROOT / module).read_text() for module in python_mutants.MODULES]
    functions = {(name, body) for text in texts for name, body in FUNCTION.findall(text)}
    for function, old, _ in python_mutants.EXPLAINED:
        assert [name for name, body in functions if name == function and body.count(old) == 1], (function, old)


def test_explanation_holds_for_its_fault_alone() -> None:
    function, old, new = next(iter(python_mutants.EXPLAINED))
    name = f"fastlb.supervisor.some.module.x_{function}__mutmut_7"
    header = f"--- one\n+++ other\n@@ -1 +1 @@\n def {function}():\n-    return {old}\n"
    assert python_mutants.explanation_of(name, f"{header}+    return {new}\n")
    assert not python_mutants.explanation_of(name, f"{header}+    return not {new}\n")
    assert not python_mutants.explanation_of(name.replace(function, "another"), f"{header}+    return {new}\n")
