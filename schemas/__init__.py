"""The words: every shape that crosses a boundary. Imports no other room."""
