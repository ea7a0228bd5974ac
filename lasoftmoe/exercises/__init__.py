"""Checks for the exercises of the book, one module a chapter.

A check takes the reader's function, calls it on random input and compares the answer with the
package's own layer. Where the answer is what a known misunderstanding would give, the failure
says which one; it raises ``AssertionError`` and prints one line when everything is right.
"""
