local m, n = {}, 0
local seed = 42
for i = 1, 1000000 do
  seed = (seed * 1103515245 + 12345) % 2147483648
  local k = seed % 10007 * 7919
  local v = m[k]
  if v == nil then n = n + 1; v = 0 end
  m[k] = v + 1
end
print(n, m[39595])
