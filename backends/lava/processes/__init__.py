"""Our own Lava processes, alone in this package directory.

Looking for models, Lava's compiler executes every .py file beside the module that defines a
process. So nothing else may live here, and each file must be harmless to execute twice.
"""
