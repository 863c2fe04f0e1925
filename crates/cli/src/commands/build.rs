//! `aspen build`: the project as one binary module.

use super::complain;
use crate::project::Project;
use crate::{input, status};
use qualm_ir::binary;

/// Writes `build/NAME.qb`.
pub fn build(project: &Project) -> u8 {
    let module = match input::verified(&project.main()) {
        Ok(module) => module,
        Err(problem) => {
            complain(&problem);
            return status::INVALID;
        }
    };
    let bytes = binary::encode(module.get());
    let target = project.build().join(format!("{}.qb", project.manifest.name));
    let written = std::fs::create_dir_all(project.build()).and_then(|()| std::fs::write(&target, &bytes));
    if let Err(error) = written {
        complain(&format!("cannot write {}: {error}\n", target.display()));
        return status::INVALID;
    }
    let functions = module.get().functions.len();
    complain(&format!(
        "built {} ({} bytes, {functions} functions); run it anywhere with `qualm run {}`\n",
        target.display(),
        bytes.len(),
        target.display()
    ));
    status::OK
}
