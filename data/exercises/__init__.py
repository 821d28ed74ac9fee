"""Verifiable exercises: Chinese cryptography problems with exact working, and the grader of their answers.

A family of problems a module; `families` names them all. Nothing here reads files or talks to a user.
"""
