package postgres

import "github.com/jackc/pgx/v5/pgtype"

// Array makes a parameter of an array type of elements, in their order; none make an empty array. gorm would spread a slice out into a
// parameter for each element, which is another statement to prepare for each length.
func Array[T any](elements []T) pgtype.Array[T] {
	return pgtype.Array[T]{Elements: elements, Dims: []pgtype.ArrayDimension{{Length: int32(len(elements)), LowerBound: 1}}, Valid: true} //nolint:gosec // Far below 2^31.
}
