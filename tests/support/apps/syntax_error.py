"""Cannot be compiled. The mistake is in a string so that the linters pass over it."""

exec(compile("def broken(:\n    pass\n", "broken_release.py", "exec"))
