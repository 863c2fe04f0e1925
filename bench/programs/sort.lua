local seed = 42
local xs = {}
for i=1,300000 do seed = (seed * 1103515245 + 12345) % 2147483648; xs[i]=seed end
local ys = {}
for i=1,#xs do ys[i] = "w" .. xs[i] end
table.sort(xs)
print(xs[1], xs[150001])
table.sort(ys)
print(ys[1001])
