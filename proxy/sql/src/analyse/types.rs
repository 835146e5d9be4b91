//! Type names: those of the grammar, and those that a schema may hold.

use sqlparser::ast::{ArrayElemTypeDef, DataType};

use super::Walk;

impl Walk<'_> {
    pub(super) fn data_type(&mut self, data_type: &DataType) {
        use DataType::*;
        match data_type {
            Character(_)
            | Char(_)
            | CharacterVarying(_)
            | CharVarying(_)
            | Varchar(_)
            | Uuid
            | Numeric(_)
            | Decimal(_)
            | Dec(_)
            | SmallInt(None)
            | Int2(None)
            | Int(None)
            | Int4(None)
            | Int8(None)
            | Integer(None)
            | BigInt(None)
            | Float4
            | Float8
            | Float(_)
            | Real
            | DoublePrecision
            | Bool
            | Boolean
            | Date
            | Time(..)
            | Timestamp(..)
            | Interval { .. }
            | JSON
            | JSONB
            | Text
            | Bytea
            | Bit(_)
            | BitVarying(_)
            | VarBit(_)
            | TsVector
            | TsQuery => {}
            Array(ArrayElemTypeDef::SquareBracket(element, _) | ArrayElemTypeDef::Qualified(element, _)) => {
                self.deeper(|walk| walk.data_type(element))
            }
            Custom(name, _) => match self.parts(name).as_deref() {
                Some([token]) => {
                    let name = self.text(*token);
                    self.names.types.push(name);
                }
                Some([schema, token]) if self.text(*schema).as_ref() == "pg_catalog" => {
                    let name = self.text(*token);
                    self.names.types.push(name);
                }
                _ => self.unproven(),
            },
            // The other types are not PostgreSQL's.
            _ => self.unproven(),
        }
    }
}
