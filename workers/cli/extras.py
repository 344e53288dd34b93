"""The extras of the distribution: which are installed, and what to say where a command needs one that is not."""

from importlib.util import find_spec

#: The modules that each extra brings (`pyproject.toml` names the distributions they come in).
EXTRAS = {
    "engine": ("httpcore2", "re2", "rich", "safetensors", "tokenizers"),
    "site": (
        "axes",
        "celery",
        "csp",
        "dj_database_url",
        "django",
        "django_htmx",
        "gunicorn",
        "ninja",
        "redis",
        "whitenoise",
    ),
    "postgres": ("psycopg",),
    "sso": ("authlib", "requests"),
    "hub": ("huggingface_hub",),
    "plots": ("matplotlib",),
    "parquet": ("pyarrow",),
    "yaml": ("yaml",),
    "inspect": ("inspect_ai",),
    "torch": ("torch",),
    "vllm": ("vllm",),
}


def installed(extra: str) -> bool:
    return all(find_spec(module) for module in EXTRAS[extra])


def remedy(missing: ModuleNotFoundError, needed: str | None) -> str | None:
    """What to install for a command that needs the extra `needed`; None where the missing module is our own.

    The site's extra includes the engine's, so a command that needs both names the site's once.
    """
    module = (missing.name or "").partition(".")[0]
    if module in ("", "firstlight", "passuntil", "proxy", "workers"):
        return None
    extra = next((extra for extra, modules in EXTRAS.items() if module in modules), None)
    if extra in (None, "engine", "site"):
        extra = needed or extra
    return f"{module} is not installed: pip install 'firstlight{f'[{extra}]' if extra else ''}'"
