//! Puts modules together and gives operands of instructions new numbers.

use crate::module::Module;
use crate::op::{Field, FieldRef, Op};
use crate::source::SourceId;
use crate::types::{BlockIndex, Case, FunctionIndex, Reg, Target};

impl Op {
    /// The same instruction with other numbers for registers, blocks and functions.
    pub fn renumbered(
        &self,
        reg: &dyn Fn(Reg) -> Reg,
        block: &dyn Fn(BlockIndex) -> BlockIndex,
        function: &dyn Fn(FunctionIndex) -> FunctionIndex,
    ) -> Self {
        let regs = |all: &[Reg]| all.iter().map(|one| reg(*one)).collect::<Vec<_>>();
        let target = |to: &Target| Target { block: block(to.block), args: regs(&to.args) };
        let fields = self.fields().into_iter().map(|field| match field {
            FieldRef::Int(one) => Field::Int(reg(one)),
            FieldRef::Float(one) => Field::Float(reg(one)),
            FieldRef::Val(one) => Field::Val(reg(one)),
            FieldRef::Ret(one) => Field::Ret(reg(one)),
            FieldRef::Vals(all) => Field::Vals(regs(all)),
            FieldRef::Args(all) => Field::Args(regs(all)),
            FieldRef::Imm(value) => Field::Imm(value),
            FieldRef::Number(value) => Field::Number(value),
            FieldRef::Text(text) => Field::Text(text.clone()),
            FieldRef::Symbol(name) => Field::Symbol(name.clone()),
            FieldRef::Symbols(names) => Field::Symbols(names.to_vec()),
            FieldRef::Func(index) => Field::Func(function(index)),
            FieldRef::Native(native) => Field::Native(native),
            FieldRef::Target(to) => Field::Target(target(to)),
            FieldRef::Cases(cases) => {
                let case = |case: &Case| Case { value: case.value, target: target(&case.target) };
                Field::Cases(cases.iter().map(case).collect())
            }
        });
        Op::from_fields(self.opcode(), fields.collect()).expect("the operands keep their kinds")
    }
}

impl Module {
    /// Puts the functions of another module behind those of this one, which keep their numbers; gives the number of its first function. The entry stays
    /// that of this module.
    pub fn append(&mut self, other: Self) -> FunctionIndex {
        let (functions, sources) = (self.functions.len() as u32, self.sources.len() as u32);
        self.groups.extend(other.groups.iter().map(|group| group.start + functions..group.end + functions));
        self.sources.extend(other.sources);
        for mut function in other.functions {
            for op in function.blocks.iter_mut().flat_map(|block| &mut block.ops) {
                *op = op.renumbered(&|reg| reg, &|block| block, &|index| FunctionIndex(index.0 + functions));
            }
            for (_, span) in &mut function.debug.spans {
                span.source = SourceId(span.source.0 + sources);
            }
            self.functions.push(function);
        }
        FunctionIndex(functions)
    }
}

#[cfg(test)]
mod tests {
    use crate::source::SourceId;
    use crate::text::parse;
    use crate::types::FunctionIndex;
    use crate::verify::verify;

    #[test]
    fn appended_functions_call_each_other() {
        let module = |text: &str| parse(SourceId(0), text).expect("it is assembly");
        let mut all = module("fn @one() -> val {\n  %r = unit\n  return %r\n}\n");
        let more = module(
            "fn @two() -> val {\n  %r = unit\n  return %r\n}\nfn @three() -> val {\n  %r = call @two, ()\n  return %r\n}\n",
        );
        assert_eq!(all.append(more), FunctionIndex(1));
        let calls: Vec<_> = all.functions[2].blocks[0].ops.iter().filter_map(crate::op::Op::function).collect();
        assert_eq!(calls, [FunctionIndex(1)]);
        assert!(verify(all).is_ok());
    }
}
