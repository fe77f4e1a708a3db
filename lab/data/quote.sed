# Lines of text into lines of a C string.
s/["\\]/\\&/g
s/.*/"&\\n"/
