package httpapi

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/callplane/callplane/libs/httpserver"
	"github.com/callplane/callplane/libs/problem"
	"github.com/callplane/callplane/services/sessions/internal/domain"
)

const (
	mediaJSON       = "application/json"
	mediaMergePatch = "application/merge-patch+json"
)

// readObject reads the body of a request as one JSON object into the fields of form: the whole syntax first (UTF-8, no duplicate names
// anywhere, nothing after the object), then every member, so that everything that is wrong is told at once. Its error is a problem.Problem.
func readObject(r *http.Request, form form, mediaTypes ...string) error {
	text, err := readBody(r, mediaTypes)
	if err != nil {
		return err
	}
	return decodeObject(text, form)
}

// readOptionalObject is readObject for a request that may come without a body.
func readOptionalObject(r *http.Request, form form) error {
	if r.ContentLength == 0 {
		return nil
	}
	return readObject(r, form, mediaJSON)
}

func readBody(r *http.Request, mediaTypes []string) ([]byte, error) {
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := params["charset"]
	if err != nil || !slices.Contains(mediaTypes, media) || (charset != "" && !strings.EqualFold(charset, "utf-8")) {
		return nil, problem.UnsupportedMediaType.WithDetail("Content-Type must be " + strings.Join(mediaTypes, " or ") + ".")
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		if p, known := httpserver.BodyProblem(err); known {
			return nil, p
		}
		return nil, problem.InvalidRequest.WithDetail("The body could not be read.")
	}
	return text, nil
}

// decodeObject reads a text as readObject does; the required members must be there.
func decodeObject(text []byte, form form, required ...string) error {
	decoder := jsontext.NewDecoder(bytes.NewReader(text))
	value, err := decoder.ReadValue()
	if err != nil {
		return syntaxProblem(err)
	}
	if at, has := nulIn(value); has {
		return problem.InvalidJSON.WithErrors(problem.FieldError{Pointer: at, Code: "nul", Message: "must not contain the character NUL"})
	}
	value = bytes.Clone(value) // the decoder's own goes with its next step
	if _, err := decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return problem.InvalidJSON.WithErrors(problem.FieldError{Code: "trailing_data", Message: "nothing may follow the JSON value"})
	}
	var found faults
	given := map[string]bool{}
	found.object("", value, form.noting(given))
	for _, name := range required {
		if value.Kind() == '{' && !given[name] {
			found.add("/"+name, domain.FaultRequired, "is required")
		}
	}
	if len(found) > 0 {
		return problem.InvalidRequest.WithErrors(found...)
	}
	return nil
}

// withRules adds to a refusal of fields what the domain finds wrong with those that could be read, so that everything is told at once. Any
// other err stays as it is.
func withRules(err, broken error) error {
	var refused problem.Problem
	var invalid *domain.InvalidError
	if !errors.As(err, &refused) || refused.Code != problem.InvalidRequest.Code || len(refused.Errors) == 0 || !errors.As(broken, &invalid) {
		return err
	}
	all := refused.Errors
	for _, fault := range invalid.Faults {
		told := slices.ContainsFunc(refused.Errors, func(e problem.FieldError) bool {
			return e.Pointer == fault.Pointer || strings.HasPrefix(e.Pointer, fault.Pointer+"/") || strings.HasPrefix(fault.Pointer, e.Pointer+"/")
		})
		if !told {
			all = append(all, problem.FieldError{Pointer: fault.Pointer, Code: fault.Code, Message: fault.Message})
		}
	}
	return refused.WithErrors(all...)
}

// syntaxProblem says where the body is not the JSON that we take.
func syntaxProblem(err error) problem.Problem {
	fault := problem.FieldError{Code: "syntax", Message: "is not valid JSON"}
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) {
		fault.Pointer = string(syntactic.JSONPointer)
	}
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		fault.Code, fault.Message = "duplicate_name", "this name stands twice in its object"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		fault.Message = "the JSON ends early"
	}
	return problem.InvalidJSON.WithErrors(fault)
}
