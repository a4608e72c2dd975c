__version__ = "0.1.0"

def __getattr__(name):
    "The zoo, when somebody asks for it: `import nas_workbench` alone loads nothing."
    if name != 'zoo': raise AttributeError(f"module 'nas_workbench' has no attribute {name!r}")
    from importlib import import_module
    return import_module('nas_workbench.zoo')
