local xs = {}
for i=1,100000 do xs[i]=0 end
local i = 0
while i < 1000000 do xs[i % 100000 + 1] = i; i = i + 1 end
local s = 0
for k=1,#xs do s = s + xs[k] end
print(s)
