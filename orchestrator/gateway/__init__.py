"""The department's side: a gateway that answers signed questions from the department's own records, logs before it answers,
and, at an approver, decides and signs.
"""
