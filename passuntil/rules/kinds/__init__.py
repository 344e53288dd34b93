"""The kinds of stopping rules, a module a kind. A module that is put here is a rule everywhere."""
