// Renders a Helm chart as `helm template` does, with what our chart uses of it, where there is no helm:
//
//	render_chart CHART RELEASE [VALUES.yaml ...]
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"gopkg.in/yaml.v3"
)

type object = map[string]interface{}

// files are those of the chart that are no templates: .Files.Get
type files string

func (folder files) Get(name string) string {
	text, err := os.ReadFile(filepath.Join(string(folder), name))
	check(err)
	return string(text)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func read(path string) object {
	text, err := os.ReadFile(path)
	check(err)
	values := object{}
	check(yaml.Unmarshal(text, &values))
	return values
}

// merge lays one set of values over another: maps are merged, all else is replaced.
func merge(under, over object) {
	for name, value := range over {
		inner, isMap := value.(object)
		below, wasMap := under[name].(object)
		if isMap && wasMap {
			merge(below, inner)
		} else {
			under[name] = value
		}
	}
}

func functions(all *template.Template) template.FuncMap {
	known := sprig.TxtFuncMap()
	// Helm has none of these: what a chart renders must not hang on the machine.
	delete(known, "env")
	delete(known, "expandenv")
	known["include"] = func(name string, data interface{}) (string, error) {
		var out strings.Builder
		err := all.ExecuteTemplate(&out, name, data)
		return out.String(), err
	}
	known["tpl"] = func(text string, data interface{}) (string, error) {
		value, err := template.Must(all.Clone()).New("value").Parse(text)
		if err != nil {
			return "", err
		}
		var out strings.Builder
		err = value.Execute(&out, data)
		return out.String(), err
	}
	known["toYaml"] = func(value interface{}) (string, error) {
		text, err := yaml.Marshal(value)
		return strings.TrimSuffix(string(text), "\n"), err
	}
	known["required"] = func(message string, value interface{}) (interface{}, error) {
		if value == nil || value == "" {
			return nil, fmt.Errorf("%s", message)
		}
		return value, nil
	}
	return known
}

func main() {
	folder, release := os.Args[1], os.Args[2]
	values, chart := read(filepath.Join(folder, "values.yaml")), read(filepath.Join(folder, "Chart.yaml"))
	for _, path := range os.Args[3:] {
		merge(values, read(path))
	}
	all := template.New("chart").Option("missingkey=zero")
	all.Funcs(functions(all))
	paths, err := filepath.Glob(filepath.Join(folder, "templates", "*"))
	check(err)
	sort.Strings(paths)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		check(err)
		_, err = all.New(filepath.Base(path)).Parse(string(text))
		check(err)
	}
	data := object{
		"Values":  values,
		"Chart":   object{"Name": chart["name"], "Version": chart["version"], "AppVersion": chart["appVersion"]},
		"Release": object{"Name": release, "Namespace": "default", "Service": "Helm"},
		"Files":   files(folder),
	}
	for _, path := range paths {
		name := filepath.Base(path)
		if strings.HasPrefix(name, "_") {
			continue
		}
		var out strings.Builder
		check(all.ExecuteTemplate(&out, name, data))
		switch text := strings.TrimSpace(out.String()); {
		case text == "":
		case strings.HasSuffix(name, ".yaml"):
			fmt.Printf("---\n# Source: %s/templates/%s\n%s\n", chart["name"], name, text)
		default:
			fmt.Fprintln(os.Stderr, text)
		}
	}
}
