# Strings, with all their escapes.
{ name, version ? "1.0" }:
{
  plain = "a ${name} b \n\r\t\\ \" \${not} $${not} $";
  deep = "a ${"b ${"c ${"d"}"}"}";
  indented = ''
    first ${name}
      second
    ''${not} ''' ''\t $$ '
  '';
  empty = '''';
  script = ''
    #!/bin/sh
    for i in ''${1..3}; do
      echo "$i ${toString version}" >> $out
    done
  '';
}
