//! The form of keytrail's own inventory file, filled in.

/// An inventory with one key and one trail, which `inventory --from` reads as it is.
pub const TEMPLATE: &str = include_str!("template.json");

#[cfg(test)]
mod tests {
    use super::super::Gathered;
    use super::*;

    #[test]
    fn the_template_is_read_without_a_complaint_and_leaves_nothing_unknown() {
        let mut gathered = Gathered::default();
        gathered.take(std::path::Path::new("template.json"), "", TEMPLATE).unwrap();
        let inventory = gathered.inventory();
        assert_eq!((inventory.keys.len(), inventory.trails.len(), &inventory.problems), (1, 1, &Vec::new()));
        assert_eq!(inventory.keys[0].unknowns().count() + inventory.trails[0].unknowns().count(), 0);
    }
}
