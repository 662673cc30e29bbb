package config

import (
	"fmt"
	"reflect"
	"strings"
)

// field is one setting of a settings struct.
type field struct {
	name       string
	def        string
	hasDefault bool
	required   bool
	secret     bool
	help       string
	rules      string
	typ        reflect.StructField
	value      reflect.Value
}

var secretType = reflect.TypeFor[Secret]()

// fieldsOf lists the settings of a struct value, nested structs included, in the order of declaration.
func fieldsOf(v reflect.Value, prefix string) ([]field, error) {
	if v.Kind() != reflect.Struct {
		return nil, fmt.Errorf("config: settings must be a struct, not %s", v.Type())
	}
	var fields []field
	for i := range v.NumField() {
		sf := v.Type().Field(i)
		if !sf.IsExported() {
			continue
		}
		tag, tagged := sf.Tag.Lookup("env")
		if !tagged && sf.Type.Kind() == reflect.Struct {
			nested, err := fieldsOf(v.Field(i), prefix+sf.Tag.Get("envPrefix"))
			if err != nil {
				return nil, err
			}
			fields = append(fields, nested...)
			continue
		}
		if tagged && tag != "-" {
			fields = append(fields, newField(sf, v.Field(i), prefix, tag))
		}
	}
	return fields, nil
}

func newField(sf reflect.StructField, v reflect.Value, prefix, tag string) field {
	name, options, _ := strings.Cut(tag, ",")
	def, hasDefault := sf.Tag.Lookup("envDefault")
	return field{
		name: prefix + name, def: def, hasDefault: hasDefault,
		required: strings.Contains(","+options+",", ",required,"),
		secret:   sf.Tag.Get("secret") == "true" || sf.Type == secretType,
		help:     sf.Tag.Get("help"), rules: sf.Tag.Get("validate"),
		typ: sf, value: v,
	}
}

// bare is the field as the parser shall see it: with its full name, and without the options that are dealt with here.
func (f field) bare() reflect.StructField {
	tag := fmt.Sprintf("env:%q", f.name)
	if f.hasDefault {
		tag += fmt.Sprintf(" envDefault:%q", f.def)
	}
	if separator, ok := f.typ.Tag.Lookup("envSeparator"); ok {
		tag += fmt.Sprintf(" envSeparator:%q", separator)
	}
	return reflect.StructField{Name: f.typ.Name, Type: f.typ.Type, Tag: reflect.StructTag(tag)}
}

// purpose is the help text as the end of a sentence.
func (f field) purpose() string {
	if f.help == "" {
		return "a " + f.kind()
	}
	return "the " + f.help
}

func (f field) orFile() string {
	if !f.secret {
		return ""
	}
	return ", or " + f.name + "_FILE to a file that holds it"
}

// kind names the form of the setting's values to a user.
func (f field) kind() string {
	switch t := f.typ.Type; {
	case t.String() == "time.Duration":
		return "duration"
	case t.Kind() == reflect.Bool:
		return "true|false"
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return "integer"
	case t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64:
		return "number"
	case t.Kind() == reflect.Slice:
		return "list"
	default:
		return "string"
	}
}
