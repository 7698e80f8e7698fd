"""Small transformers that train before your eyes: what they learn, how a step is made, what each head did at each step.

They are the built-in transformer, so that every page opens them. Nothing here is needed to train the shipped models
(`model.training`), and the app imports nothing of that.
"""
