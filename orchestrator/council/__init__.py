"""The council: who owns `Consortium`, what it may do, and how its members decide it together.

A consortium's council is a Safe multisig of its members; a devnet's is one account. Both do the same acts.
"""
