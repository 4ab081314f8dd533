"""Functions of the user that a scenario names as `mypackage.module:function`, and the blocks that name them.

It must not know what a function decides, or when it is called. Start with `user_functions`; `resolve` calls it when a
scenario is read, controllers when a run begins.
"""
