"""Problem templates in the GSM-Symbolic language: read, check, solve, render, and match against instances."""

from menon.problems.templates.functions import TemplateError, Value
from menon.problems.templates.language import Assignment, Loaded, Template, load_templates, parse_template
from menon.problems.templates.lists import LISTS
from menon.problems.templates.matching import match
from menon.problems.templates.render import Instance, default_assignment, original, render
from menon.problems.templates.solver import draw, violations

__all__ = [
    "LISTS",
    "Assignment",
    "Instance",
    "Loaded",
    "Template",
    "TemplateError",
    "Value",
    "default_assignment",
    "draw",
    "load_templates",
    "match",
    "original",
    "parse_template",
    "render",
    "violations",
]
