# The kind of functions that libraries are made of.
let
  inherit (builtins) attrNames foldl' head isAttrs length listToAttrs map tail;
  fix = f: let x = f x; in x;
  extends = overlay: f: final: let prev = f final; in prev // overlay final prev;
  fold = op: nul: list: if list == [ ] then nul else op (head list) (fold op nul (tail list));
  recursiveUpdate = lhs: rhs:
    listToAttrs (map
      (name: {
        inherit name;
        value =
          if isAttrs (lhs.${name} or null) && isAttrs (rhs.${name} or null)
          then recursiveUpdate lhs.${name} rhs.${name}
          else rhs.${name} or lhs.${name};
      })
      (attrNames (lhs // rhs)));
  sum = foldl' (a: b: a + b) 0;
in
fix (extends (final: prev: { total = sum final.numbers; }) (final: { numbers = [ 1 2 3 ]; }))
