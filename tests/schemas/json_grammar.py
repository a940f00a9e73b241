"""What RFC 8259 lets be JSON and what it does not, production by production; a parser may refuse none, or take none.

Where the RFC leaves it open (huge numbers, lone surrogates, duplicate names, depth), the case is in neither list.
"""

# Section 2: value, structure, white space. 3: literals. 4: objects. 5: arrays. 6: numbers. 7: strings. 8: encoding.
VALID = [
    b"null", b"true", b"false", b"0", b'""', b"[]", b"{}", b" null", b"null ", b"\tnull", b"null\n",
    b"\r\n\t true \r\n\t", b"[ ]", b"{ }", b"[\n]", b"{\r}", b"[null]", b"[true,false]", b"[[]]", b"[[],[]]", b"[{}]",
    b'[""]', b"[1,2,3]", b"[1 , 2]", b"[ 1,2 ]", b"[1\n,\n2]", b'[null,1,"1",{}]', b"[[[[[[]]]]]]", b'{"a":null}',
    b'{"a":[]}', b'{"a":{}}', b'{"a":1,"b":2}', b'{ "a" : 1 , "b" : 2 }', b'{"a"\n:\n1}', b'{"":0}', b'{"a b":0}',
    b'{"\\u0061":0}', b'{"a":{"a":0}}', b'{"\\"":0}', b'{"null":null,"true":true}', b"-0", b"-1", b"1", b"10",
    b"1234567890", b"0.0", b"-0.0", b"0.1", b"1.0", b"-1.5", b"123.456", b"0.000000001", b"1e1", b"1E1", b"1e+1",
    b"1e-1", b"1E-01", b"0e0", b"0E+0", b"-0e-0", b"1.5e10", b"-1.5E-10", b"1e00", b"100e-2", b'"a"', b'" "',
    b'"\\""', b'"\\\\"', b'"\\/"', b'"/"', b'"\\b"', b'"\\f"', b'"\\n"', b'"\\r"', b'"\\t"', b'"\\u0041"',
    b'"\\u00e5"', b'"\\u00E5"', b'"\\uABCD"', b'"\\u2028\\u2029"', b'"\\ud834\\udd1e"', b'"\\uD834\\uDD1E"',
    b'"\\u001f"', b'"\\u007f"', b'"\x7f"', b'"\xc3\xa5"', b'"\xe2\x82\xac"', b'"\xf0\x9d\x84\x9e"', b'"\xe2\x80\xa8"',
    b'"\xef\xbf\xbf"', b'"\xef\xbb\xbf"', b'"\xf4\x8f\xbf\xbf"', b'"\\\\u0041"', b'"\\\\\\""', b'"[{,:}]"', b'"//"',
    b'"/**/"', b'"\\u0022"', b'"\\u005C"', b'"&amp;<>"', b'"1"', b'"null"', b'["a","b"]', b"[0]",
]  # fmt: skip

INVALID = [
    # 2: no value, two values, something beside the value
    b"", b" ", b"\n", b"null null", b"1 2", b"[][]", b"{}{}", b"[]{}", b'""""', b"null,", b",null", b"[],", b"[]]",
    b"{}}", b"[]x", b"{};", b"[]#", b"// a\n1", b"/* a */1", b"[1]/**/", b"# a\n1", b"\x0b1", b"\x0c1", b"\xc2\xa01",
    b"\xe2\x80\x831", b"\xe2\x81\xa01", b"\xef\xbb\xbf1", b"<a/>", b"a=b", b"(1)", b"=1", b"&1", b"*1",
    # 3: literals
    b"n", b"nul", b"nulll", b"Null", b"NULL", b"True", b"TRUE", b"tru", b"truee", b"False", b"fals", b"None",
    b"undefined", b"NaN", b"nan", b"-NaN", b"Infinity", b"-Infinity", b"+Infinity", b"inf", b"[NaN]",
    b'{"a":Infinity}', b"yes", b"a", b"@",
    # 4: objects
    b"{", b"}", b"{{}}", b"{[]}", b"{1}", b'{"a"}', b'{"a":}', b"{:1}", b'{"a",1}', b'{"a"=1}', b'{"a"=>1}',
    b'{"a" 1}', b'{"a"::1}', b'{"a":1', b'{"a":', b'{"a"', b'{"', b'{"a":1,', b'{"a":1,}', b'{,"a":1}', b'{,}',
    b'{"a":1,,"b":2}', b'{"a":1;"b":2}', b'{"a":1 "b":2}', b"{a:1}", b"{'a':1}", b"{1:1}", b"{null:1}", b"{true:1}",
    b"{[]:1}", b"{{}:1}", b'{"a":1]', b'{"a":1}]', b'{"a":"b"c}', b'{"a":1}{"b":2}', b'{"a":{"b":1}', b'{"a":b}',
    b"{-}", b'{"a":-}', b"{...}",
    # 5: arrays
    b"[", b"]", b"[[", b"[[]", b"[1", b"[1,", b"[1,]", b"[,1]", b"[,]", b"[,]]", b"[1,,2]", b"[1,2,,]", b"[1 2]",
    b"[1;2]", b"[1:2]", b'["a":1]', b"[1}", b"[1]]", b"[a]", b"['a']", b"[-]", b"[...]", b'["a"', b'["a",',
    b'["a" "b"]', b'[""],""', b"[1\n2]", b"[<null>]", b"[null", b"[nul]", b"[tru]", b"[\x00]", b"[\x1f]", b"[\xff]",
    b"[\xc3\xa5]", b"[1\x00]",
    # 6: numbers
    b"-", b"+", b"--1", b"+1", b"++1", b"-+1", b"00", b"01", b"-01", b"007", b"0.", b"1.", b"-1.", b".1", b"-.1",
    b".", b"1..2", b"1.2.3", b"0.1.2", b"1e", b"1E", b"1e+", b"1e-", b"0e", b"0e+", b"1e1.5", b"1e+-1", b"1ee1",
    b"e1", b".e1", b"1.e1", b"0.e1", b"1 000", b"1,000", b"1_000", b"1'000", b"0x1", b"0X1F", b"0b1", b"0o7", b"1f",
    b"1L", b"1n", b"- 1", b"1 .5", b"-foo", b"1a", b"1+1", b"2/3", b"1%", b"\xef\xbc\x91", b"\xd9\xa1",
    b"[1\xc2\xb2]", b"\xe2\x88\x921", b"1\xe2\x80\x89000",
    # 7: strings
    b'"', b'"a', b"a\"", b"'a'", b"`a`", b"\xe2\x80\x9ca\xe2\x80\x9d", b'"""', b'"a"b"', b'"\\"', b'"\\', b'"\\a"',
    b'"\\x41"', b'"\\0"', b'"\\101"', b'"\\\'"', b'"\\v"', b'"\\e"', b'"\\ "', b'"\\\n"', b'"\\U0041"', b'"\\u"',
    b'"\\u1"', b'"\\u12"', b'"\\u123"', b'"\\u123', b'"\\u12 3"', b'"\\u+123"', b'"\\u-001"', b'"\\ug000"',
    b'"\\u{41}"', b'"\\u\xef\xbc\x91234"', b'"\\\xc3\xa5"', b'"\\\x00"', b'"\n"', b'"\r"', b'"\t"', b'"a\nb"',
    b'"a\r\nb"', b'"\x00"', b'"\x01"', b'"\x08"', b'"\x0c"', b'"\x1b[0m"', b'"\x1f"', b'"a" + "b"', b'"\\ud834\\u"',
    b'"\\ud834\\u1"', b'"\\ud834\\u1x"', b'"\\ud834\\',
    # 8: encoding
    b"\xff\xfe1\x00", b"\xfe\xff\x001", b'[\x00"\x00a\x00"\x00]\x00', b'"\x80"', b'"\xbf"', b'"\xc0\x80"',
    b'"\xc0\xaf"', b'"\xc1\xbf"', b'"\xc3"', b'"\xc3("', b'"\xe2\x82"', b'"\xe0\x80\xaf"', b'"\xed\xa0\x80"',
    b'"\xed\xbf\xbf"', b'"\xf0\x9d"', b'"\xf0\x80\x80\xaf"', b'"\xf4\x90\x80\x80"', b'"\xf5\x80\x80\x80"',
    b'"\xf8\x88\x80\x80\x80"', b'"\xfe"', b'"\xff"', b'"\xe5"', b'{"\xe5":1}', b"\xe5", b'"\\\xe5"', b'"\\u\xe5"',
]  # fmt: skip
