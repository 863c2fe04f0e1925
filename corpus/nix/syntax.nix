# Every form of the language once.
with { }; { x, a, d, b, c, ... }:
let a.b = 1; a.c = 2; x' = -3; in {
  inherit x';
  inherit (a) b c;
  "foo bar" = ./x/y;
  ${"d"} = 1.5e3;
  "${x}-dynamic".in' = null;
  default = a.b.c or d.e 4;
  has = !a ? b.${"c"};
  function = { a, b ? 2, ... }@c: args@{ }: x: a-b: a;
  condition = if true then assert a == 1; b else throw "no";
  operators = a // b ++ c * d / 5 - 6 + 7;
  logic = !true && false || 1 == 2 -> 2 != 3;
  comparisons = [ (1 < 2) (1 <= 2) (1 > 2) (1 >= 2) ];
  paths = [ <nixpkgs/lib> ../z ~/foo ./a/${x}/b /etc/passwd http://foo.bar/x?y=z ];
  numbers = [ 1 1.5 .5 01.5 9223372036854775807 ];
  nested = rec { q = 1; r.s = q; r.t = { u = 2; }; };
  old = let { body = 1; };
  or' = f: f or [ ];
  here = __curPos.line; /* a comment */ # and another
}
