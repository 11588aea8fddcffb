"""An engine joins the parts of a live run: device, callback, worker, model, supervisor.

None of its packages imports the modules that stand here. They only wire: each decision has its place in one of the
packages.
"""
