"""Turns configuration files into a plan and findings. Serves nothing.

compiler = Compiler("config"); compiled = compiler.compile()    # again after every change: what stayed is not done again
compiled.plan       # Plan, or None when there are errors
compiled.findings   # every finding, each with its place
compiled.files      # every file that it was made of
"""

from gateway.compile.compiler import Compiled, Compiler, compile_configuration
from gateway.compile.finding import Finding

__all__ = ["Compiled", "Compiler", "Finding", "compile_configuration"]
