"""The person's pages: plain HTML and one style sheet, on a phone, in two languages, without a login or a script."""
