//! The interpreter: one loop over `Code` frames.
//!
//! The loop keeps in locals what it needs for every instruction: the function's code, the place in it, and the frame as an array of 256
//! words, which makes every access to a register free of bounds checks. Calls and returns between functions stay inside; everything else
//! (handlers, built-ins that call back, thunks, failures) leaves as a [`Next`] to the outer loop in [`fiber`](crate::fiber).
//!
//! Each arm reads `a`, `b`, `c`, `d` of its instruction; a result goes to `a` unless the arm says otherwise. "Else" instructions jump to `d`
//! when their condition does not hold.

mod leaf;
mod operands;

use crate::code::{CONSTANT_FIRST, Code, Comparison, Inst, IntBits, Opcode, Program, Query};
use crate::data::arith::{Arith, float_op, float_to_int, int_op, number};
use crate::failure::Failure;
use crate::fiber::{Exit, Fiber, Next};
use crate::heap::Heap;
use crate::stack::{FrameKind, HEADER, WINDOW, below_of, distance_of, link, place, place_of};
use crate::statics::Known;
use crate::value::{Immediate, Kind, Tag, Value};
use operands::{copy_operands, gather, pair, push_operands, triple};
use qualm_ir::types::kind_number;
use std::cmp::Ordering;

/// Runs the `Code` frame at the top until control leaves plain code.
pub(crate) fn run(fiber: &mut Fiber, program: &Program) -> Next {
    let mut base = fiber.top;
    let (mut function, mut pc) = place_of(fiber.stack[base + 1]);
    let mut code: &Code = program.code(function);
    let mut insts: &[Inst] = &code.insts;

    /// The frame as an array of registers.
    macro_rules! window {
        () => {
            <&mut [u64; WINDOW]>::try_from(&mut fiber.stack[base..base + WINDOW]).expect("a window has its size")
        };
    }
    let mut regs = window!();

    /// Leaves the loop; the frame waits at the current instruction.
    macro_rules! leave {
        ($next:expr) => {{
            regs[1] = place(function, pc - 1);
            fiber.top = base;
            return $next;
        }};
    }
    /// Leaves the loop with a failure.
    macro_rules! fail {
        ($failure:expr) => {{
            let error = $failure.into_value(&mut fiber.heap);
            leave!(Next::Raise(error))
        }};
    }
    /// The value of an operation that may fail.
    macro_rules! attempt {
        ($outcome:expr) => {
            match $outcome {
                Ok(value) => value,
                Err(failure) => fail!(failure),
            }
        };
    }
    /// What every function entry does: count fuel, and look after garbage and limits now and then.
    macro_rules! enter {
        () => {
            fiber.fuel -= 1;
            if fiber.fuel < 0 || fiber.heap.words.len() > fiber.heap.limit {
                fiber.top = base;
                fiber.stack[base + 1] = place(function, 0);
                if let Some(exit) = fiber.at_entry(program) {
                    return Next::Exit(exit);
                }
            }
            regs = window!();
        };
    }
    /// Goes on in another function whose frame stands at `base`.
    macro_rules! switch_to {
        ($callee:expr) => {
            function = $callee;
            code = program.code(function);
            insts = &code.insts;
            pc = 1;
        };
    }
    macro_rules! val {
        ($slot:expr) => {
            Value(regs[usize::from($slot)])
        };
    }
    macro_rules! set {
        ($slot:expr, $value:expr) => {
            regs[usize::from($slot)] = $value.0
        };
    }
    macro_rules! int {
        ($slot:expr) => {
            regs[usize::from($slot)] as i64
        };
    }
    macro_rules! float {
        ($slot:expr) => {
            f64::from_bits(regs[usize::from($slot)])
        };
    }
    macro_rules! set_raw {
        ($slot:expr, $word:expr) => {
            regs[usize::from($slot)] = $word as u64
        };
    }
    macro_rules! int_arith {
        ($inst:expr, $op:expr, $checked:ident) => {{
            let (a, b) = (int!($inst.b), int!($inst.c));
            match a.$checked(b) {
                Some(value) => set_raw!($inst.a, value),
                None => fail!(Failure::overflow()),
            }
        }};
    }
    macro_rules! float_arith {
        ($inst:expr, $op:expr) => {{
            let value = attempt!(float_op($op, float!($inst.b), float!($inst.c)));
            regs[usize::from($inst.a)] = value.to_bits();
        }};
    }
    macro_rules! jump_unless {
        ($inst:expr, $holds:expr) => {{
            let holds: bool = $holds;
            if !holds {
                pc = $inst.d as usize;
            }
        }};
    }
    /// Arithmetic with a float in a word: gives the result and goes on, or falls through to the long way.
    macro_rules! float_fast {
        ($inst:expr, $a:expr, $b:expr, $op:tt) => {
            if let Some((x, y)) = float_pair($a, $b) {
                if let Some(result) = Value::small_float(x $op y) {
                    set!($inst.a, result);
                    continue;
                }
            }
        };
    }
    /// Whether both words are small integers.
    macro_rules! both_small {
        ($a:expr, $b:expr) => {
            $a.0 & $b.0 & 1 == 1
        };
    }

    loop {
        let inst = insts[pc];
        pc += 1;
        match inst.op {
            Opcode::Enter | Opcode::Args => {}

            // ---- moves
            Opcode::Move => regs[usize::from(inst.a)] = regs[usize::from(inst.b)],
            Opcode::MoveShare => {
                let value = val!(inst.b).shared();
                set!(inst.b, value);
                set!(inst.a, value);
            }
            Opcode::LoadFar => {
                let word = fiber.stack[base + inst.d as usize];
                regs = window!();
                regs[usize::from(inst.a)] = word;
            }
            Opcode::StoreFar => {
                let word = regs[usize::from(inst.a)];
                fiber.stack[base + inst.d as usize] = word;
                regs = window!();
            }
            Opcode::LoadInt => set_raw!(inst.a, inst.d as i32 as i64),
            Opcode::LoadConst => regs[usize::from(inst.a)] = code.consts[inst.d as usize],

            // ---- control
            Opcode::Jump => pc = inst.d as usize,
            Opcode::BranchUnless => {
                if regs[usize::from(inst.a)] == 0 {
                    pc = inst.d as usize;
                }
            }
            Opcode::Switch => {
                let table = &code.switches[inst.d as usize];
                let on = int!(inst.a);
                pc = match table.cases.binary_search_by_key(&on, |case| case.0) {
                    Ok(at) => table.cases[at].1,
                    Err(_) => table.default,
                } as usize;
            }
            Opcode::Return => {
                let word = regs[usize::from(inst.a)];
                let head = regs[0];
                base -= distance_of(head);
                if below_of(head) != FrameKind::Code {
                    fiber.top = base;
                    return Next::Deliver(Value(word));
                }
                let (caller, waits) = place_of(fiber.stack[base + 1]);
                function = caller;
                code = program.code(function);
                insts = &code.insts;
                let call = insts[waits];
                pc = waits + usize::from(call.c);
                regs = window!();
                regs[usize::from(call.a)] = word;
            }
            Opcode::Call => {
                let callee = program.code(inst.d);
                let next = base + code.frame;
                regs[1] = place(function, pc - 1);
                let end = next + callee.frame + WINDOW;
                if end > fiber.stack.len() {
                    fiber.reserve(next + callee.frame);
                }
                copy_operands(&mut fiber.stack, base, &insts[pc..], usize::from(inst.b), next + HEADER);
                fiber.stack[next] = link(code.frame, FrameKind::Code, FrameKind::Code);
                base = next;
                switch_to!(inst.d);
                enter!();
            }
            Opcode::TailCall => {
                let args = gather(&mut fiber.stack, base, &insts[pc..], usize::from(inst.b));
                let callee = program.code(inst.d);
                fiber.reserve(base + callee.frame);
                for (slot, arg) in fiber.stack[base + HEADER..].iter_mut().zip(args.iter()) {
                    *slot = arg.0;
                }
                switch_to!(inst.d);
                enter!();
            }
            Opcode::Loop => {
                pc = 1;
                fiber.fuel -= 1;
                if fiber.fuel < 0 || fiber.heap.words.len() > fiber.heap.limit {
                    regs[1] = place(function, 0);
                    fiber.top = base;
                    if let Some(exit) = fiber.at_entry(program) {
                        return Next::Exit(exit);
                    }
                    regs = window!();
                }
            }
            Opcode::Apply | Opcode::TailApply => {
                regs[1] = place(function, pc - 1);
                let operands = gather(&mut fiber.stack, base, &insts[pc..], usize::from(inst.b));
                let (callee, args) = (operands[0], &operands[1..]);
                let tail = inst.op == Opcode::TailApply;
                let (number, held) = match callee.tag() {
                    Tag::Immediate(Immediate::Function, number) => (number, 0),
                    Tag::Reference(Kind::Closure, offset) => {
                        let number = fiber.heap.peek(offset, 0).as_immediate(Immediate::Function).unwrap_or(0);
                        (number, fiber.heap.payload(offset).len() - 1)
                    }
                    _ => (u32::MAX, 0),
                };
                if number == u32::MAX || program.code(number).params != held + args.len() {
                    fiber.top = base;
                    if tail {
                        fiber.pop();
                    }
                    return fiber.apply(program, callee, args);
                }
                let target = program.code(number);
                let next = if tail { base } else { base + code.frame };
                fiber.reserve(next + target.frame);
                let mut at = next + HEADER;
                if let Some(offset) = callee.as_object(Kind::Closure) {
                    for field in 1..=held {
                        fiber.stack[at] = fiber.heap.take(callee, offset, field).0;
                        at += 1;
                    }
                }
                for arg in args {
                    fiber.stack[at] = arg.0;
                    at += 1;
                }
                if !tail {
                    fiber.stack[next] = link(code.frame, FrameKind::Code, FrameKind::Code);
                }
                base = next;
                switch_to!(number);
                enter!();
            }
            Opcode::Leaf => {
                let mut args = gather(&mut fiber.stack, base, &insts[pc..], usize::from(inst.b));
                let done = leaf::run(&mut fiber.heap, program, program.leaves[inst.d as usize], &mut args);
                regs = window!();
                let value = match done {
                    Ok(value) => value,
                    Err(failure) => fail!(failure),
                };
                // One instruction can make much; the next function entry may be far.
                if fiber.heap.words.len() > 2 * fiber.heap.most_words {
                    return Next::Exit(Exit::OutOfMemory);
                }
                set!(inst.a, value);
                pc += usize::from(inst.c) - 1;
            }
            Opcode::ListSet | Opcode::MapInsert => {
                let args = triple(&mut fiber.stack, base, &insts[pc]);
                let done = match inst.op {
                    Opcode::ListSet => fiber.heap.list_set(args[0], args[1].0 as i64, args[2]),
                    _ => fiber.heap.map_insert(args[0], args[1], args[2]),
                };
                regs = window!();
                let value = match done {
                    Ok(value) => value,
                    Err(failure) => fail!(failure),
                };
                set!(inst.a, value);
                pc += 1;
            }
            Opcode::ListPush => {
                let [list, item] = pair(&mut fiber.stack, base, &insts[pc]);
                let done = fiber.heap.list_push(list, item);
                regs = window!();
                let value = match done {
                    Ok(value) => value,
                    Err(failure) => fail!(failure),
                };
                set!(inst.a, value);
                pc += 1;
            }
            Opcode::NativeFrame => {
                let args = gather(&mut fiber.stack, base, &insts[pc..], usize::from(inst.b));
                regs = window!();
                regs[1] = place(function, pc - 1);
                fiber.top = base;
                return crate::natives::frames::start(fiber, program, inst.d, &args);
            }

            // ---- effects and thunks
            Opcode::Raise => leave!(Next::Raise(val!(inst.b))),
            Opcode::Perform => leave!(Next::Perform(inst.d, val!(inst.b))),
            Opcode::Handle => {
                let parts = gather(&mut fiber.stack, base, &insts[pc..], usize::from(inst.b));
                let spec = &code.handlers[inst.d as usize];
                fiber.stack[base + 1] = place(function, pc - 1);
                fiber.top = base;
                return fiber.handle(program, [parts[0], parts[1], parts[2], parts[3]], &spec.effects, spec.mode);
            }
            Opcode::Force => {
                let value = val!(inst.b);
                if value.as_object(Kind::Thunk).is_some() {
                    leave!(Next::Force(value));
                }
                set!(inst.a, value);
            }

            // ---- unboxed integers
            Opcode::IntAdd => int_arith!(inst, Arith::Add, checked_add),
            Opcode::IntSub => int_arith!(inst, Arith::Sub, checked_sub),
            Opcode::IntMul => int_arith!(inst, Arith::Mul, checked_mul),
            Opcode::IntDiv => {
                let value = attempt!(int_op(Arith::Div, int!(inst.b), int!(inst.c)));
                set_raw!(inst.a, value);
            }
            Opcode::IntRem => {
                let value = attempt!(int_op(Arith::Rem, int!(inst.b), int!(inst.c)));
                set_raw!(inst.a, value);
            }
            Opcode::IntNeg => match int!(inst.b).checked_neg() {
                Some(value) => set_raw!(inst.a, value),
                None => fail!(Failure::overflow()),
            },
            Opcode::IntAddImm => match int!(inst.b).checked_add(i64::from(inst.c as i8)) {
                Some(value) => set_raw!(inst.a, value),
                None => fail!(Failure::overflow()),
            },
            // `d` is above 0. Dividing is slow: powers of two need none, and small numbers are divided faster.
            Opcode::IntRemImm => {
                let number = int!(inst.b);
                set_raw!(
                    inst.a,
                    match u32::try_from(number) {
                        _ if inst.d.is_power_of_two() => number & i64::from(inst.d - 1),
                        Ok(small) => i64::from(small % inst.d),
                        Err(_) => number.rem_euclid(i64::from(inst.d)),
                    }
                );
            }
            // `d` is the number to add, modulo 2^64.
            Opcode::IntStep => set_raw!(inst.a, int!(inst.b).wrapping_add(i64::from(inst.d as i32))),
            Opcode::IntBits => set_raw!(inst.a, int_bits(inst.d, int!(inst.b), int!(inst.c))),
            Opcode::IntEq => set_raw!(inst.a, int!(inst.b) == int!(inst.c)),
            Opcode::IntNe => set_raw!(inst.a, int!(inst.b) != int!(inst.c)),
            Opcode::IntLt => set_raw!(inst.a, int!(inst.b) < int!(inst.c)),
            Opcode::IntLe => set_raw!(inst.a, int!(inst.b) <= int!(inst.c)),
            Opcode::IntEqElse => jump_unless!(inst, int!(inst.b) == int!(inst.c)),
            Opcode::IntNeElse => jump_unless!(inst, int!(inst.b) != int!(inst.c)),
            Opcode::IntLtElse => jump_unless!(inst, int!(inst.b) < int!(inst.c)),
            Opcode::IntLeElse => jump_unless!(inst, int!(inst.b) <= int!(inst.c)),
            // `a` is the comparison, `c` the place of the constant it compares with.
            Opcode::IntImmElse => {
                let constant = code.consts[usize::from(inst.c)] as i64;
                jump_unless!(inst, Comparison::of(int!(inst.b).cmp(&constant)) & inst.a != 0)
            }
            Opcode::IntToFloat => regs[usize::from(inst.a)] = (int!(inst.b) as f64).to_bits(),

            // ---- unboxed floats
            Opcode::FloatAdd => float_arith!(inst, Arith::Add),
            Opcode::FloatSub => float_arith!(inst, Arith::Sub),
            Opcode::FloatMul => float_arith!(inst, Arith::Mul),
            Opcode::FloatDiv => float_arith!(inst, Arith::Div),
            Opcode::FloatRem => float_arith!(inst, Arith::Rem),
            Opcode::FloatNeg => regs[usize::from(inst.a)] = (-float!(inst.b)).to_bits(),
            Opcode::FloatSqrt => {
                let value = attempt!(number(float!(inst.b).sqrt()));
                regs[usize::from(inst.a)] = value.to_bits();
            }
            Opcode::FloatEq => set_raw!(inst.a, float!(inst.b) == float!(inst.c)),
            Opcode::FloatLt => set_raw!(inst.a, float!(inst.b) < float!(inst.c)),
            Opcode::FloatLe => set_raw!(inst.a, float!(inst.b) <= float!(inst.c)),
            Opcode::FloatEqElse => jump_unless!(inst, float!(inst.b) == float!(inst.c)),
            Opcode::FloatLtElse => jump_unless!(inst, float!(inst.b) < float!(inst.c)),
            Opcode::FloatLeElse => jump_unless!(inst, float!(inst.b) <= float!(inst.c)),
            Opcode::FloatToInt => {
                let value = attempt!(float_to_int(float!(inst.b)));
                set_raw!(inst.a, value);
            }

            // ---- between unboxed and tagged
            Opcode::BoxInt => {
                let value = fiber.heap.int(int!(inst.b));
                set!(inst.a, value);
            }
            Opcode::BoxFloat => {
                let value = fiber.heap.float(float!(inst.b));
                set!(inst.a, value);
            }
            Opcode::BoxBool => set!(inst.a, Value::bool(int!(inst.b) != 0)),
            Opcode::UnboxInt => match fiber.heap.as_int(val!(inst.b)) {
                Some(value) => set_raw!(inst.a, value),
                None => fail!(expected(&fiber.heap, "Integer", val!(inst.b))),
            },
            Opcode::UnboxFloat => match fiber.heap.as_number(val!(inst.b)) {
                Some(value) => regs[usize::from(inst.a)] = value.to_bits(),
                None => fail!(expected(&fiber.heap, "Float", val!(inst.b))),
            },
            Opcode::Truth => match val!(inst.b) {
                Value::TRUE => set_raw!(inst.a, 1_u64),
                Value::FALSE => set_raw!(inst.a, 0_u64),
                other => fail!(not_boolean(&fiber.heap, inst.d, other)),
            },
            // `c` is the constant that holds the role's number.
            Opcode::TruthElse => match val!(inst.b) {
                Value::TRUE => {}
                Value::FALSE => pc = inst.d as usize,
                other => fail!(not_boolean(&fiber.heap, code.consts[usize::from(inst.c)] as u32, other)),
            },

            // ---- tagged arithmetic: small integers here, the rest in `data::arith`
            Opcode::ValAdd => {
                let (a, b) = (val!(inst.b), val!(inst.c));
                match (a.0 as i64).checked_add(b.0 as i64 - 1) {
                    Some(sum) if both_small!(a, b) => set_raw!(inst.a, sum),
                    _ => {
                        float_fast!(inst, a, b, +);
                        // `d`: whether a operand dies, so that what grows may grow in place.
                        let a = if inst.d & 1 == 0 { a.shared() } else { a };
                        let b = if inst.d & 2 == 0 { b.shared() } else { b };
                        let value = attempt!(fiber.heap.arith(Arith::Add, a, b));
                        // Joining with an empty list gives the operand itself.
                        if value.shared() == a.shared() || value.shared() == b.shared() {
                            set!(inst.b, val!(inst.b).shared());
                            set!(inst.c, val!(inst.c).shared());
                        }
                        set!(inst.a, value);
                    }
                }
            }
            Opcode::ValSub => {
                let (a, b) = (val!(inst.b), val!(inst.c));
                match (a.0 as i64).checked_sub(b.0 as i64 - 1) {
                    Some(difference) if both_small!(a, b) => set_raw!(inst.a, difference),
                    _ => {
                        float_fast!(inst, a, b, -);
                        let value = attempt!(fiber.heap.arith(Arith::Sub, a, b));
                        set!(inst.a, value);
                    }
                }
            }
            Opcode::ValMul => {
                let (a, b) = (val!(inst.b), val!(inst.c));
                match (a.0 as i64 >> 1).checked_mul(b.0 as i64 - 1) {
                    Some(product) if both_small!(a, b) => set_raw!(inst.a, product | 1),
                    _ => {
                        float_fast!(inst, a, b, *);
                        let value = attempt!(fiber.heap.arith(Arith::Mul, a, b));
                        set!(inst.a, value);
                    }
                }
            }
            Opcode::ValDiv | Opcode::ValRem => {
                let (a, b) = (val!(inst.b), val!(inst.c));
                let (x, y) = (a.0 as i64 >> 1, b.0 as i64 >> 1);
                // The quotient of the smallest number by -1 is the only one out of range; both go the long way.
                if both_small!(a, b) && y > 0 {
                    let number = if inst.op == Opcode::ValDiv { x.div_euclid(y) } else { x.rem_euclid(y) };
                    set_raw!(inst.a, number << 1 | 1);
                } else {
                    let op = if inst.op == Opcode::ValDiv { Arith::Div } else { Arith::Rem };
                    if op == Arith::Div && float_pair(a, b).is_some_and(|(_, y)| y != 0.0) {
                        float_fast!(inst, a, b, /);
                    }
                    let value = attempt!(fiber.heap.arith(op, a, b));
                    set!(inst.a, value);
                }
            }
            // `d` is the positive divisor.
            Opcode::ValRemImm => {
                let a = val!(inst.b);
                if a.0 & 1 == 1 {
                    let number = (a.0 as i64 >> 1).rem_euclid(i64::from(inst.d));
                    set_raw!(inst.a, number << 1 | 1);
                } else {
                    let value = attempt!(fiber.heap.arith(Arith::Rem, a, Value::index(inst.d as usize)));
                    set!(inst.a, value);
                }
            }
            Opcode::ValArith => {
                let value = attempt!(fiber.heap.arith(Arith::ALL[inst.d as usize], val!(inst.b), val!(inst.c)));
                set!(inst.a, value);
            }
            // `d` is twice the number to add; `c` tells whether the program wrote an addition.
            Opcode::ValAddImm => {
                let a = val!(inst.b);
                let step = i64::from(inst.d as i32);
                match (a.0 as i64).checked_add(step) {
                    Some(sum) if a.0 & 1 == 1 => set_raw!(inst.a, sum),
                    _ => {
                        let (op, b) = if inst.c == 1 { (Arith::Add, step / 2) } else { (Arith::Sub, -step / 2) };
                        let value =
                            attempt!(fiber.heap.arith(op, a.shared(), Value::small_int(b).unwrap_or(Value::UNIT)));
                        set!(inst.a, value);
                    }
                }
            }
            Opcode::ValNeg => {
                let value = attempt!(fiber.heap.negate(val!(inst.b)));
                set!(inst.a, value);
            }
            Opcode::ValEq => set_raw!(inst.a, fiber.heap.equal(val!(inst.b), val!(inst.c))),
            Opcode::ValNe => set_raw!(inst.a, !fiber.heap.equal(val!(inst.b), val!(inst.c))),
            Opcode::ValLt => {
                let ordering = attempt!(order(&fiber.heap, val!(inst.b), val!(inst.c), inst.d != 0));
                set_raw!(inst.a, ordering == Ordering::Less);
            }
            Opcode::ValLe => {
                let ordering = attempt!(order(&fiber.heap, val!(inst.b), val!(inst.c), inst.d != 0));
                set_raw!(inst.a, ordering != Ordering::Greater);
            }
            Opcode::ValEqElse => jump_unless!(inst, fiber.heap.equal(val!(inst.b), val!(inst.c))),
            Opcode::ValNeElse => jump_unless!(inst, !fiber.heap.equal(val!(inst.b), val!(inst.c))),
            Opcode::ValLtElse => {
                let (a, b) = (val!(inst.b), val!(inst.c));
                if both_small!(a, b) {
                    jump_unless!(inst, (a.0 as i64) < b.0 as i64);
                } else if let Some((x, y)) = float_pair(a, b) {
                    jump_unless!(inst, x < y);
                } else {
                    let ordering = attempt!(order(&fiber.heap, a, b, inst.a != 0));
                    jump_unless!(inst, ordering == Ordering::Less);
                }
            }
            Opcode::ValLeElse => {
                let (a, b) = (val!(inst.b), val!(inst.c));
                if both_small!(a, b) {
                    jump_unless!(inst, a.0 as i64 <= b.0 as i64);
                } else if let Some((x, y)) = float_pair(a, b) {
                    jump_unless!(inst, x <= y);
                } else {
                    let ordering = attempt!(order(&fiber.heap, a, b, inst.a != 0));
                    jump_unless!(inst, ordering != Ordering::Greater);
                }
            }
            // `a` is the comparison, `c` the place of the constant it compares with; small integers are ordered like their words.
            Opcode::ValImmElse => {
                let a = val!(inst.b);
                let constant = code.consts[usize::from(inst.c)] as i64;
                if a.0 & 1 == 1 {
                    let holds = Comparison::of((a.0 as i64).cmp(&constant)) & inst.a != 0;
                    jump_unless!(inst, holds);
                } else {
                    let holds = attempt!(compare_constant(&fiber.heap, inst.a, a, Value(constant as u64)));
                    jump_unless!(inst, holds);
                }
            }

            // ---- looking at data
            Opcode::Query => {
                let answer = attempt!(query(&fiber.heap, Query::ALL[usize::from(inst.c)], val!(inst.b), inst.d));
                set_raw!(inst.a, answer);
            }
            Opcode::TupleIs => {
                let holds = match val!(inst.b).as_object(Kind::Tuple) {
                    Some(offset) => fiber.heap.payload(offset).len() == inst.d as usize,
                    None => inst.d == 0 && val!(inst.b) == Value::UNIT,
                };
                set_raw!(inst.a, holds);
            }
            Opcode::LabelIs => {
                let value = val!(inst.b);
                let symbol = match value.as_object(Kind::Label) {
                    Some(offset) => fiber.heap.peek(offset, 0),
                    None => value,
                };
                set_raw!(inst.a, symbol == Value::symbol(inst.d));
            }
            Opcode::ListLen => {
                let length = fiber.heap.as_list(val!(inst.b)).map_or(-1, |list| list.length as i64);
                set_raw!(inst.a, length);
            }
            Opcode::SeqLen => {
                let length = attempt!(fiber.heap.seq_len(val!(inst.b)));
                set_raw!(inst.a, length);
            }
            Opcode::SeqGet => {
                let value = attempt!(fiber.heap.seq_get(val!(inst.b), int!(inst.c)));
                set!(inst.a, value);
            }
            Opcode::ListGet => {
                let value = attempt!(fiber.heap.list_get(val!(inst.b), int!(inst.c)));
                set!(inst.a, value);
            }
            // `d` is the item of a tuple, or all ones for the payload of a label; `c` tells whether it may be moved out.
            Opcode::FieldTake => {
                let owner = val!(inst.b);
                let value = attempt!(field(&mut fiber.heap, owner, inst.d, inst.c != 0));
                set!(inst.a, value);
            }
            Opcode::RecordGet => {
                let value = attempt!(fiber.heap.record_get(val!(inst.b), inst.d));
                set!(inst.a, value);
            }

            // ---- making data
            Opcode::MakeTuple | Opcode::MakeList | Opcode::Closure | Opcode::Thunk => {
                let value = make(fiber, base, inst, &insts[pc..]);
                regs = window!();
                set!(inst.a, value);
                pc += usize::from(inst.c) - 1;
            }
            // `d` is the symbol.
            Opcode::MakeLabel => {
                let value = fiber.heap.label(inst.d, val!(inst.b));
                set!(inst.a, value);
            }
            // `load::emit::cells` says when the cell stays the owner, or its value's reference may be owned twice for a moment.
            Opcode::CellGet | Opcode::CellBorrow | Opcode::CellLook => {
                let cell = val!(inst.b).as_object(Kind::Cell);
                let value = cell.map_or(Value::EMPTY, |offset| match inst.op {
                    Opcode::CellBorrow => fiber.heap.peek(offset, 0),
                    Opcode::CellLook => fiber.heap.peek(offset, 0).shared(),
                    _ => fiber.heap.read(offset, 0),
                });
                if value == Value::EMPTY {
                    let name = fiber.heap.statics().symbol(inst.d).to_owned();
                    fail!(Failure::new(Known::Reference, format!("{name} has no value yet")));
                }
                set!(inst.a, value);
            }
            Opcode::CellSet => {
                if let Some(offset) = val!(inst.b).as_object(Kind::Cell) {
                    fiber.heap.write(offset, 0, val!(inst.c));
                }
                set!(inst.a, Value::UNIT);
            }
        }
    }
}

/// Gives a value to the `Code` frame at the top, which waits for it.
pub(crate) fn accept(fiber: &mut Fiber, program: &Program, value: Value) -> Next {
    let base = fiber.top;
    let (function, pc) = place_of(fiber.stack[base + 1]);
    let inst = program.code(function).insts[pc];
    let (word, next) = match inst.op {
        Opcode::Call
        | Opcode::Apply
        | Opcode::Handle
        | Opcode::NativeFrame
        | Opcode::ListSet
        | Opcode::ListPush
        | Opcode::MapInsert => (value.0, pc + usize::from(inst.c)),
        Opcode::Leaf => {
            let next = pc + usize::from(inst.c);
            if leaf::gives_int(program.leaves[inst.d as usize]) {
                match truth_or_int(&fiber.heap, value) {
                    Ok(word) => (word as u64, next),
                    Err(failure) => return fiber.fail(failure),
                }
            } else {
                (value.0, next)
            }
        }
        op if op_gives_int(op) => match truth_or_int(&fiber.heap, value) {
            Ok(word) => (word as u64, pc + 1),
            Err(failure) => return fiber.fail(failure),
        },
        op if op_gives_float(op) => match fiber.heap.as_number(value) {
            Some(float) => (float.to_bits(), pc + 1),
            None => {
                let failure = expected(&fiber.heap, "Float", value);
                return fiber.fail(failure);
            }
        },
        op if op_decides(op) => match truth_or_int(&fiber.heap, value) {
            Ok(word) => {
                let next = if word != 0 { pc + 1 } else { inst.d as usize };
                fiber.stack[base + 1] = place(function, next);
                return Next::Run;
            }
            Err(failure) => return fiber.fail(failure),
        },
        _ => (value.0, pc + 1),
    };
    fiber.stack[base + usize::from(inst.a)] = word;
    fiber.stack[base + 1] = place(function, next);
    Next::Run
}

fn op_gives_int(op: Opcode) -> bool {
    matches!(
        op,
        Opcode::IntAdd
            | Opcode::IntSub
            | Opcode::IntMul
            | Opcode::IntDiv
            | Opcode::IntRem
            | Opcode::IntNeg
            | Opcode::IntAddImm
            | Opcode::FloatToInt
            | Opcode::UnboxInt
            | Opcode::Truth
            | Opcode::ValLt
            | Opcode::ValLe
            | Opcode::Query
            | Opcode::SeqLen
    )
}

fn op_gives_float(op: Opcode) -> bool {
    matches!(
        op,
        Opcode::FloatAdd
            | Opcode::FloatSub
            | Opcode::FloatMul
            | Opcode::FloatDiv
            | Opcode::FloatRem
            | Opcode::FloatSqrt
            | Opcode::UnboxFloat
    )
}

fn op_decides(op: Opcode) -> bool {
    matches!(op, Opcode::TruthElse | Opcode::ValLtElse | Opcode::ValLeElse | Opcode::ValImmElse)
}

/// Two numbers that words hold, at least one of them a float, as floats.
#[inline]
fn float_pair(a: Value, b: Value) -> Option<(f64, f64)> {
    let number = |value: Value| value.as_small_float().or_else(|| value.as_small_int().map(|value| value as f64));
    if a.0 & b.0 & 1 == 1 { None } else { Some((number(a)?, number(b)?)) }
}

fn truth_or_int(heap: &Heap, value: Value) -> Result<i64, Failure> {
    match value {
        Value::TRUE => Ok(1),
        Value::FALSE => Ok(0),
        _ => heap.as_int(value).ok_or_else(|| expected(heap, "Integer", value)),
    }
}

fn expected(heap: &Heap, kind: &str, value: Value) -> Failure {
    Failure::new(Known::Type, format!("expected {kind}, found {}", heap.repr(value)))
}

#[cold]
fn not_boolean(heap: &Heap, role: u32, value: Value) -> Failure {
    let role = heap.statics().text(role).text.clone();
    Failure::new(Known::Type, format!("{role} must be Boolean, found {}", heap.repr(value)))
}

fn int_bits(op: u32, a: i64, b: i64) -> i64 {
    match IntBits::ALL[op as usize] {
        IntBits::AddWrap => a.wrapping_add(b),
        IntBits::SubWrap => a.wrapping_sub(b),
        IntBits::MulWrap => a.wrapping_mul(b),
        IntBits::And => a & b,
        IntBits::Or => a | b,
        IntBits::Xor => a ^ b,
        IntBits::Not => !a,
        IntBits::Shl => a.wrapping_shl(b as u32),
        IntBits::Shr => a.wrapping_shr(b as u32),
        IntBits::ShrU => (a as u64).wrapping_shr(b as u32) as i64,
    }
}

/// Compares two values; `swapped` tells that the program wrote them the other way round, for the message.
fn order(heap: &Heap, a: Value, b: Value, swapped: bool) -> Result<Ordering, Failure> {
    if swapped { heap.order(b, a).map(Ordering::reverse) } else { heap.order(a, b) }
}

fn compare_constant(heap: &Heap, comparison: u8, a: Value, b: Value) -> Result<bool, Failure> {
    match comparison & !CONSTANT_FIRST {
        // Equality is defined for all values; the order is not.
        EQUAL => Ok(heap.equal(a, b)),
        UNEQUAL => Ok(!heap.equal(a, b)),
        orderings => {
            let ordering = order(heap, a, b, comparison & CONSTANT_FIRST != 0)?;
            Ok(Comparison::of(ordering) & orderings != 0)
        }
    }
}

const EQUAL: u8 = Comparison::Eq as u8;
const UNEQUAL: u8 = Comparison::Ne as u8;

fn query(heap: &Heap, query: Query, value: Value, name: u32) -> Result<i64, Failure> {
    match query {
        Query::Kind => Ok(kind_number(heap.kind_name(value))),
        Query::RecordIs => Ok(i64::from(value.as_object(Kind::Record).is_some())),
        Query::RecordHas => Ok(i64::from(heap.record_has(value, name))),
        Query::MapLen => heap.map_len(value).map(|length| length as i64),
        Query::TextLen => match heap.text_lengths(value) {
            Some((_, chars)) => Ok(chars as i64),
            None => Err(expected(heap, "String", value)),
        },
        Query::BytesLen => match heap.as_bytes(value) {
            Some(bytes) => Ok(bytes.len() as i64),
            None => Err(expected(heap, "Bytes", value)),
        },
    }
}

/// The payload of a label (`index` all ones) or an item of a tuple.
fn field(heap: &mut Heap, owner: Value, index: u32, may_take: bool) -> Result<Value, Failure> {
    let (kind, at) = if index == u32::MAX { (Kind::Label, 1) } else { (Kind::Tuple, index as usize) };
    if let Some(offset) = owner.as_object(kind) {
        if at < heap.payload(offset).len() {
            let owner = if may_take { owner } else { owner.shared() };
            return Ok(heap.take(owner, offset, at));
        }
    } else if index == u32::MAX && owner.as_immediate(Immediate::Symbol).is_some() {
        return Ok(Value::UNIT);
    }
    if index == u32::MAX {
        return Err(expected(heap, "a label", owner));
    }
    let length = heap.items(owner).len();
    if owner == Value::UNIT || owner.as_object(Kind::Tuple).is_some() {
        return Err(Failure::new(Known::Index, format!("index {index} out of range, {length} items")));
    }
    Err(expected(heap, "a tuple", owner))
}

/// Makes an object of operands.
fn make(fiber: &mut Fiber, base: usize, inst: Inst, args: &[Inst]) -> Value {
    let count = usize::from(inst.b);
    let function = Value::immediate(Immediate::Function, inst.d).0;
    let suspended = Value::index(crate::fiber::THUNK_SUSPENDED as usize).0;
    let (kind, before, used) = match inst.op {
        Opcode::MakeTuple if count == 0 => return Value::UNIT,
        Opcode::MakeTuple => (Kind::Tuple, [0, 0], 0),
        Opcode::MakeList => (Kind::List, [(count as u64) << 32, 0], 1),
        Opcode::Closure => (Kind::Closure, [function, 0], 1),
        _ => (Kind::Thunk, [suspended, function], 2),
    };
    let (offset, words) = fiber.heap.begin(kind, used + count);
    words.extend_from_slice(&before[..used]);
    push_operands(&mut fiber.stack, base, args, count, words);
    Value::owned(kind, offset)
}
